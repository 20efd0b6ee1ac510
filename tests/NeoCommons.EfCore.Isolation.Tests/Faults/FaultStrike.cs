using NeoCommons.EfCore.Testing;

namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>A fault that waits at one place of the conversation.</summary>
internal sealed class FaultStrike : IDisposable
{
    // Small enough to tear a bind from the command that it travels with.
    private const int Piece = 64;

    private readonly FaultApp _app;
    private readonly CancellationTokenSource _cancel = new();
    private readonly Task? _ending;
    private volatile bool _hasStruck;

    /// <summary>Arms the fault at the n-th place.</summary>
    public FaultStrike(FaultApp app, FaultCase fault, int number)
    {
        _app = app;
        if (fault.Pool != Pool.New && fault.Fault is Fault.RequestIsCut or Fault.AnswerIsCut)
        {
            app.Proxy.PieceSize = Piece;
        }

        switch (fault.Fault)
        {
            case Fault.RequestIsCut:
                _ending = app.Proxy.BeforePiece(number, ProxyDirection.ToServer, () => Strike(app.Proxy.Cut));
                break;
            case Fault.AnswerIsCut:
                _ending = app.Proxy.BeforePiece(number, ProxyDirection.ToClient, () => Strike(app.Proxy.Cut));
                break;
            case Fault.SessionIsKilled:
                _ending = app.Proxy.BeforePiece(number, ProxyDirection.ToServer, () => StrikeAsync(app.KillAsync));
                break;
            case Fault.CancelledAtRequest:
                _ending = app.Proxy.BeforePiece(
                    number,
                    ProxyDirection.ToServer,
                    () => StrikeAsync(_cancel.CancelAsync)
                );
                break;
            case Fault.CancelledAtAnswer:
                _ending = app.Proxy.BeforePiece(
                    number,
                    ProxyDirection.ToClient,
                    () => StrikeAsync(_cancel.CancelAsync)
                );
                break;
            case Fault.Silence:
                _ending = app.Proxy.BeforePiece(
                    number,
                    ProxyDirection.ToServer,
                    () => Strike(() => app.Proxy.Blackhole())
                );
                break;
            case Fault.ClockThrows:
                app.Clock.Arm(number, () => Strike(() => throw new InjectedException("The clock is broken.")));
                break;
            case Fault.CancelledAtClock:
                app.Clock.Arm(number, () => Strike(_cancel.Cancel));
                break;
            case Fault.PasswordThrows:
                app.OnPassword = AtPassword(() => throw new InjectedException("There is no password."));
                break;
            case Fault.CancelledAtPassword:
                app.OnPassword = AtPassword(_cancel.Cancel);
                break;
        }

        Action AtPassword(Action act)
        {
            var passwords = 0;
            return () =>
            {
                if (++passwords == number)
                {
                    Strike(act);
                }
            };
        }
    }

    public CancellationToken Token => _cancel.Token;

    /// <summary>Whether it came to the fault.</summary>
    public bool HasStruck => _hasStruck;

    /// <summary>Ends the fault; what a silence has held is delivered.</summary>
    public async Task EndAsync()
    {
        if (_hasStruck && _ending is not null)
        {
            await _ending.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        }

        _app.Proxy.Restore();
        _app.Clock.Arm(0, null);
        _app.OnPassword = null;
    }

    public void Dispose() => _cancel.Dispose();

    private Task Strike(Action act)
    {
        _hasStruck = true;
        act();
        return Task.CompletedTask;
    }

    private Task StrikeAsync(Func<Task> act)
    {
        _hasStruck = true;
        return act();
    }
}
