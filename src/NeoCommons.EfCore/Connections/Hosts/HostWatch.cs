using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Looks at all servers of a connection as long as its pool lives, over one session to each.</summary>
/// <param name="source">The pool.</param>
/// <param name="pools">What is told of each look.</param>
/// <param name="log">Is told what has changed.</param>
/// <param name="time">The clock.</param>
internal sealed class HostWatch(PooledDataSource source, HostPools pools, ILogger log, TimeProvider time)
    : IAsyncDisposable
{
    /// <summary>How often; the driver tries a host again that failed as often.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    // How often while all are away and say so at once: nobody else tries.
    private static readonly TimeSpan IntervalOfOutage = TimeSpan.FromMilliseconds(250);

    /// <summary>After so many looks in a row to which it has said nothing a server is left out.</summary>
    private const int MostSilentLooks = 2;

    /// <summary>After so many in a row that it has not answered, a server that is in is away.</summary>
    private const int MostLooksAway = 2;

    /// <summary>After so many that it has answered it is taken in again: all connections are opened anew for it.</summary>
    private const int AnswersToReturn = 3;

    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly NpgsqlConnection?[] _sessions = new NpgsqlConnection?[pools.Hosts.Count];

    // Of a server that is in, how many looks in a row have been silent; of one that is left out, how many it still has to answer.
    private readonly int[] _looks =
    [
        .. pools.Hosts.Select(host => pools.LeftOut.Contains(host.Number) ? AnswersToReturn : 0),
    ];

    // How many looks in a row have found it away.
    private readonly int[] _away = new int[pools.Hosts.Count];
    private readonly bool[] _isToldUnfenced = new bool[pools.Hosts.Count];
    private int _asking;
    private readonly Lock _starting = new();
    private Task? _looking;

    /// <summary>Begins to look, and waits for the first look: whoever opens a connection earlier may meet a wrong server.</summary>
    public ValueTask FirstLookAsync(bool async, CancellationToken ct)
    {
        if (_first.Task.IsCompleted)
        {
            return default;
        }

        Start();
        if (async)
        {
            return new(_first.Task.WaitAsync(ct));
        }

        _first.Task.GetAwaiter().GetResult();
        return default;
    }

    public async ValueTask DisposeAsync()
    {
        Task? looking;
        lock (_starting)
        {
            looking = _looking;
            _looking ??= Task.CompletedTask;
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        if (looking is not null)
        {
            await looking.ConfigureAwait(false);
        }

        foreach (var session in _sessions)
        {
            await CloseAsync(session).ConfigureAwait(false);
        }

        _first.TrySetResult();
    }

    /// <summary>Begins to look.</summary>
    public void Start()
    {
        lock (_starting)
        {
            if (_looking is null)
            {
                // On no caller's behalf, so in nobody's transaction.
                using var _ = ExecutionContext.SuppressFlow();
                _looking = Task.Run(LookOnAsync);
            }
        }
    }

    private async Task LookOnAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await LookAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (!_stopping.IsCancellationRequested)
            {
                LogMessages.LookFailed(log, e, source.Row.Name);
            }
            catch when (_stopping.IsCancellationRequested)
            {
                return;
            }

            _first.TrySetResult();
            var isFast = pools.Outage.IsOn && Volatile.Read(ref _asking) == 0;
            await Task.Delay(isFast ? IntervalOfOutage : Interval, time, _stopping.Token)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task LookAsync()
    {
        var begun = time.GetTimestamp();
        var answers = await Task.WhenAll(pools.Hosts.Select(AskUnlessLeftOutAsync)).ConfigureAwait(false);
        var before = pools.Guard.States;
        pools.Look(begun, answers);
        var after = pools.Guard.States;
        foreach (var host in pools.Hosts)
        {
            var (was, now) = (before[host.Number].Refusal, after[host.Number].Refusal);
            if (now is null && was is not null)
            {
                LogMessages.HostServes(log, source.Row.Name, host.Address.ToString());
            }
            else if (now is not null && now != was)
            {
                LogMessages.HostServesNot(log, source.Row.Name, host.Address.ToString(), now);
            }

            if (after[host.Number].Answer is { IsPrimary: true, Timeline: null } && !_isToldUnfenced[host.Number])
            {
                _isToldUnfenced[host.Number] = true;
                LogMessages.HostNotFenced(log, source.Row.Name, host.Address.ToString());
            }
        }

        if (after.HasBegunAnew)
        {
            LogMessages.TimelineForgotten(log, source.Row.Name, pools.Guard.Newest);
        }

        pools.Outage.Note(pools.Hosts.All(h => IsLeftOut(h) ? _looks[h.Number] > 0 : _away[h.Number] >= MostLooksAway));

        var silent = Silent;
        if (pools.LeaveOut(silent))
        {
            foreach (var host in pools.Hosts.Where(h => silent.Contains(h.Number) && !IsLeftOut(h)))
            {
                LogMessages.HostLeftOut(log, source.Row.Name, host.Address.ToString());
            }
        }

        // All opens wait for the first look, and it need not wait for a server that none of them meets.
        Task<HostAnswer?> AskUnlessLeftOutAsync(RowHost host) =>
            !_first.Task.IsCompleted && IsLeftOut(host) ? Task.FromResult<HostAnswer?>(null) : AskAsync(host, begun);
    }

    private async Task<HostAnswer?> AskAsync(RowHost host, long begun)
    {
        var session = _sessions[host.Number] ?? host.CreateConnection();
        _sessions[host.Number] = null;
        var asking = AskAsync(host, session);
        try
        {
            var answer = await asking.WaitAsync(HostQuestion.Patience, time, _stopping.Token).ConfigureAwait(false);
            _sessions[host.Number] = session;
            host.HeardAt = time.GetTimestamp();
            _away[host.Number] = 0;
            _looks[host.Number] = IsLeftOut(host) ? Math.Max(0, _looks[host.Number] - 1) : 0;
            if (!IsLeftOut(host))
            {
                // Another one may take its time, and whoever asks need not wait for that.
                pools.Outage.Note(areAway: false);
            }

            return answer;
        }
        catch (Exception e)
        {
            // Whatever it is, it is no answer. The driver takes its time to give up, and this loop has other hosts to look at.
            _ = CloseAfterAsync(asking, session);

            Count(host, begun, e);
            return null;
        }
    }

    private void Count(RowHost host, long begun, Exception e)
    {
        // A process that comes to its turn too late itself cannot tell who is silent.
        if (time.GetElapsedTime(begun) > 1.25 * HostQuestion.Patience)
        {
            return;
        }

        _away[host.Number] =
            !IsAway(e) ? 0
            : host.HeardAt >= begun ? _away[host.Number]
            : _away[host.Number] + 1;
        ref var looks = ref _looks[host.Number];
        if (HostFailure.IsSilence(e))
        {
            looks =
                host.HeardAt >= begun ? looks
                : IsLeftOut(host) ? AnswersToReturn
                : looks + 1;
        }
        else if (!IsLeftOut(host))
        {
            looks = 0;
        }
    }

    /// <summary>Those that say nothing, by number.</summary>
    public IReadOnlySet<int> Silent =>
        pools
            .Hosts.Where(h => _looks[h.Number] >= (IsLeftOut(h) ? 1 : MostSilentLooks))
            .Select(h => h.Number)
            .ToHashSet();

    private bool IsLeftOut(RowHost host) => pools.LeftOut.Contains(host.Number);

    // A refused user, or a server that is full, is an answer; one that starts or shuts down lets nobody in.
    private static bool IsAway(Exception? e) =>
        e switch
        {
            null => false,
            PostgresException refusal => refusal.SqlState is ['5', '7', 'P', '0', ..] || PoolerAnswer.IsAway(refusal),
            SocketException or IOException or TimeoutException => true,
            _ => IsAway(e.InnerException),
        };

    private async Task<HostAnswer> AskAsync(RowHost host, NpgsqlConnection session)
    {
        Interlocked.Increment(ref _asking);
        try
        {
            return await AskAtAsync(host, session).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _asking);
        }
    }

    private async Task<HostAnswer> AskAtAsync(RowHost host, NpgsqlConnection session)
    {
        if (session.State != System.Data.ConnectionState.Open)
        {
            await DriverOpening
                .OpenAsync(session, source, OpenUse.Look, async: true, _stopping.Token, host)
                .ConfigureAwait(false);
            host.ForgetRefusedRights();
        }

        return await HostQuestion.AskAsync(session, host, time, async: true, _stopping.Token).ConfigureAwait(false);
    }

    private static async Task CloseAfterAsync(Task asking, NpgsqlConnection session)
    {
        await asking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await CloseAsync(session).ConfigureAwait(false);
    }

    private static async ValueTask CloseAsync(NpgsqlConnection? session)
    {
        try
        {
            await (session?.DisposeAsync() ?? default).ConfigureAwait(false);
        }
        catch (NpgsqlException)
        {
            // Broken, and gone all the same.
        }
    }
}
