using Npgsql;

namespace NeoCommons.EfCore.Benchmarks.Blast;

/// <summary>Tenants of a row that misbehave, each in its own way: what one has done says nothing of the next.</summary>
/// <param name="app">The application.</param>
/// <param name="row">Their row.</param>
/// <param name="ask">How they ask.</param>
internal sealed class Guilty(BlastApp app, string row, Asking ask)
{
    private const int Raisers = 4;
    private const int Sleepers = 100;

    // So long until those that may be open are.
    private static readonly TimeSpan FallAsleep = TimeSpan.FromMilliseconds(300);

    public BlastDeed Sleeps()
    {
        var tenant = app.NewTenant(row);
        return new(
            $"sleeps on all its slots, {Sleepers} callers",
            ct => BlastDeed.CallAsync(Sleepers, c => AskAsync(tenant, "SELECT pg_sleep(60)", c), ct),
            () => Task.Delay(FallAsleep)
        );
    }

    /// <summary>Raises what the driver takes for the server's own trouble, so that it closes all idle connections of the pool.</summary>
    public BlastDeed Raises(string state, bool slowly = false)
    {
        var tenant = app.NewTenant(row);
        return new(
            $"raises {state} {(slowly ? "after a second each" : "in a loop")}, {Raisers} callers",
            ct => RaiseAsync(tenant, state, slowly, ct),
            () => BlastDeed.UntilAsync(() => app.IsKeptApartAsync(tenant))
        );
    }

    /// <summary>The same of another tenant in each round, before it is kept apart.</summary>
    public BlastDeed IsFoundOut(string state) =>
        new(
            $"raises {state} in a loop, {Raisers} callers, from the first on",
            ct => RaiseAsync(app.NewTenant(row), state, slowly: false, ct)
        );

    private Task RaiseAsync(Tenant tenant, string state, bool slowly, CancellationToken ct)
    {
        var sql =
            $"DO $$ BEGIN {(slowly ? "PERFORM pg_sleep(1); " : "")}RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$";
        return BlastDeed.CallAsync(Raisers, c => AskAsync(tenant, sql, c), ct);
    }

    private async Task AskAsync(Tenant tenant, string sql, CancellationToken ct)
    {
        try
        {
            await ask(tenant, sql, ct);
        }
        catch (PostgresException)
        {
            // As it wanted.
        }
        catch (Exception) when (ct.IsCancellationRequested)
        {
            // It is over.
        }
    }
}
