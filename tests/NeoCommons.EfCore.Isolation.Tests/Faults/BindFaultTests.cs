using System.Data;
using Dapper;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using NeoCommons.EfCore.Isolation.Tests.Fuzz;
using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>
/// A fault at each place between the open and the close of a tenant's connection: nothing is executed unbound, nothing
/// stays open, and whoever comes next reads their own rows.
/// </summary>
/// <remarks>
/// Deterministic: the fault strikes at the first place, then at the second, until an operation ends without meeting it.
/// </remarks>
public sealed class BindFaultTests(FaultDatabase databases, ITestOutputHelper output) : IClassFixture<FaultDatabase>
{
    // More places than any conversation has.
    private const int Most = 400;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<FaultCase> Cuts => [.. FaultMatrix.Of(Fault.RequestIsCut, Fault.AnswerIsCut)];

    public static TheoryData<FaultCase> Kills => [.. FaultMatrix.Of(Fault.SessionIsKilled)];

    public static TheoryData<FaultCase> Cancellations =>
        [
            .. FaultMatrix.Of(
                Fault.CancelledAtRequest,
                Fault.CancelledAtAnswer,
                Fault.CancelledAtClock,
                Fault.CancelledAtPassword
            ),
        ];

    public static TheoryData<FaultCase> Exceptions => [.. FaultMatrix.Of(Fault.ClockThrows, Fault.PasswordThrows)];

    /// <summary>One: each place lasts as long as the timeouts of the driver.</summary>
    public static TheoryData<FaultCase> Silences =>
        [
            new FaultCase
            {
                Fault = Fault.Silence,
                Work = Work.Read,
                Pool = Pool.Littered,
                Reset = SessionReset.WhenUsed,
                PrePing = true,
            },
        ];

    [Theory]
    [MemberData(nameof(Cuts))]
    public Task A_bind_that_is_cut_anywhere_executes_nothing_unbound(FaultCase fault) => StrikeEverywhereAsync(fault);

    [Theory]
    [MemberData(nameof(Kills))]
    public Task A_bind_whose_session_is_killed_anywhere_executes_nothing_unbound(FaultCase fault) =>
        StrikeEverywhereAsync(fault);

    [Theory]
    [MemberData(nameof(Cancellations))]
    public Task A_cancelled_bind_never_leaves_the_connection_open(FaultCase fault) => StrikeEverywhereAsync(fault);

    [Theory]
    [MemberData(nameof(Exceptions))]
    public Task An_exception_within_the_bind_never_leaves_the_connection_open(FaultCase fault) =>
        StrikeEverywhereAsync(fault);

    [Theory]
    [MemberData(nameof(Silences))]
    public Task A_bind_that_times_out_anywhere_executes_nothing_unbound(FaultCase fault) =>
        StrikeEverywhereAsync(fault);

    private async Task StrikeEverywhereAsync(FaultCase fault)
    {
        await using var app = await FaultApp.StartAsync(databases.Database, fault);
        var touched = await app.TouchesOfPublicAsync();
        var outcomes = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var number = 1; ; number++)
        {
            Assert.InRange(number, 1, Most);
            var (struck, outcome) = await StrikeAsync(app, fault, number);
            if (!struck)
            {
                // Nothing went wrong, so nothing may have failed: else the places behind it were never reached.
                Assert.Equal("right", outcome);
                Assert.True(number > 1, "The fault struck nowhere.");
                break;
            }

            outcomes[outcome] = outcomes.GetValueOrDefault(outcome) + 1;
        }

        output.WriteLine(string.Join(", ", outcomes.Select(o => $"{o.Value} x {o.Key}")));
        await app.Connections.CloseAllAsync().WaitAsync(TimeSpan.FromMinutes(1), Ct);
        Assert.Equal(0, app.Clock.TimersFired); // a lease that was never ended would keep it from draining
        await Eventually.EqualAsync(0, app.SessionsAsync);
        Assert.Equal(touched, await app.TouchesOfPublicAsync());
        Assert.Equal(0, await app.Database.SweepAsync(Ct));

        // Which the sweep itself has read.
        await Eventually.TrueAsync(async () => await app.TouchesOfPublicAsync() > touched);
    }

    private static async Task<(bool Struck, string Outcome)> StrikeAsync(FaultApp app, FaultCase fault, int number)
    {
        var at = $"place {number}: ";
        await app.PreparePoolAsync();
        var context = await app.CreateAsync(app.Tenants[0], fault.Work == Work.ReadOnly);
        bool struck;
        string outcome;
        using (var strike = new FaultStrike(app, fault, number))
        {
            var work = new FaultWork(app, fault, context, strike.Token);
            var failure = await Record.ExceptionAsync(work.RunAsync);
            struck = strike.HasStruck;
            await strike.EndAsync();
            outcome = failure is null ? "right" : NameOf(failure) ?? Fail(at, failure);
            Assert.True(work.Leaks.Count == 0, at + "leaked " + string.Join(", ", work.Leaks));
        }

        // EF's own service: through context.Database, the library would know that somebody looks.
        var connection = context.GetService<IRelationalConnection>().DbConnection;
        // EF itself leaves it open, bound, where BEGIN is cancelled.
        Assert.True(
            connection.State != ConnectionState.Open || fault.Work is Work.Open or Work.Transaction,
            at + $"the connection is {connection.State} after {outcome}"
        );
        await ReadOwnAsync(app, fault, context, at + "the same context, ");
        await context.DisposeAsync();
        Assert.NotEqual(ConnectionState.Open, connection.State);
        await using (var other = await app.CreateAsync(app.Tenants[1]))
        {
            var owners = await RepeatAsync(fault, () => OwnersAsync(other));
            Assert.True(
                owners.TrueForAll(o => o == app.Tenants[1].Slug),
                at + "the next tenant saw " + string.Join(", ", owners)
            );
        }

        await SeesNothingRawAsync(app, fault, at);
        Assert.Equal(0, app.Connections.GetPoolMetrics(app.Name).Active);
        await Eventually.EqualAsync(0, app.BusyAsync);
        return (struck, outcome);
    }

    private static async Task ReadOwnAsync(FaultApp app, FaultCase fault, CanaryContext context, string at)
    {
        try
        {
            var owners = await RepeatAsync(fault, () => OwnersAsync(context));
            Assert.True(owners.TrueForAll(o => o == app.Tenants[0].Slug), at + "saw " + string.Join(", ", owners));
        }
        catch (Exception e) when (e is not Xunit.Sdk.IAssertionException)
        {
            throw new InvalidOperationException(at + "failed.", e);
        }
    }

    private static Task<List<string>> OwnersAsync(CanaryContext context) =>
        Microsoft.EntityFrameworkCore.EntityFrameworkQueryableExtensions.ToListAsync(
            context.Canaries.Select(c => c.Tenant),
            Ct
        );

    // The server may get a cancellation late, and then cancels what comes next; a server that was silent is found again soon.
    private static async Task<T> RepeatAsync<T>(FaultCase fault, Func<Task<T>> read)
    {
        while (true)
        {
            try
            {
                return await read();
            }
            catch (PostgresException e)
                when (e.SqlState == PostgresErrorCodes.QueryCanceled
                    && fault.Fault is Fault.CancelledAtRequest or Fault.CancelledAtAnswer
                )
            {
                return await read();
            }
            catch (ConnectionUnavailableException e) when (e.Reason == ConnectionUnavailableReason.CircuitOpen)
            {
                await Task.Delay(e.RetryAfter ?? TimeSpan.Zero, Ct);
            }
        }
    }

    private static async Task SeesNothingRawAsync(FaultApp app, FaultCase fault, string at)
    {
        await using var raw = await RepeatAsync(
            fault,
            () => app.Connections.OpenConnectionAsync(app.Name, Ct).AsTask()
        );
        var refused = await Assert.ThrowsAsync<PostgresException>(() =>
            RepeatAsync(fault, () => raw.QueryAsync<string>($"SELECT tenant FROM {FuzzDatabase.Table}"))
        );
        Assert.True(refused.SqlState == PostgresErrorCodes.UndefinedTable, at + refused);
    }

    private static string? NameOf(Exception e)
    {
        for (var inner = e; inner is not null; inner = inner.InnerException)
        {
            if (inner is InjectedException)
            {
                return "injected";
            }
        }

        return ExpectedFaults.Name(e);
    }

    private static string Fail(string at, Exception failure) =>
        throw new InvalidOperationException(at + "ended as nobody should see it end.", failure);
}
