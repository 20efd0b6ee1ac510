using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>What is sent before a bind, where the driver leaves its own reset out.</summary>
internal static class DueReset
{
    // What the driver sends itself when a connection is used again, and does not send after a TransactionScope.
    private static readonly SessionStatement Reset = new(
        "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); "
            + "DISCARD SEQUENCES; DISCARD TEMP",
        results: 8
    );

    // A transaction that a scope has begun keeps the read-only default that it began with, whatever is reset in it.
    private static readonly SessionStatement ResetInScope = new SessionStatement(
        "SET LOCAL transaction_read_only = off",
        results: 1
    ).Then(Reset);

    /// <summary>
    /// Marks a session that the driver has given back without its reset: one that was enlisted by hand in a transaction, and closed
    /// before that ended.
    /// </summary>
    public static void NoteLeftOut(NpgsqlConnection open, PhysicalConnection physical, PooledDataSource? source) =>
        physical.NeedsReset |=
            source is { OwnsReset: false, Row.Pooler: not PoolerMode.Transaction }
            && (!physical.IsNew || source.Life.IsHandedOut)
            && FirstCommand.IsSent(open);

    /// <summary>The bind, after a reset where one is due and the driver leaves it out.</summary>
    public static SessionStatement? Before(SessionStatement? bind, PhysicalConnection physical)
    {
        var scope = AmbientScope.Id;

        // A mark stays until the reset has been answered: what was prepended is dropped if no command follows.
        physical.NeedsReset |=
            (physical.Scope is not null && physical.Scope != scope)
            || (bind is null && physical.IsBound)
            || (physical.HasTimeout && bind is not { HasTimeout: true });
        var entersScope = scope is not null && physical.Scope != scope;
        physical.Scope = scope;
        physical.IsBound |= bind is not null;
        physical.HasTimeout |= bind is { HasTimeout: true };
        return physical.NeedsReset ? (entersScope ? ResetInScope : Reset).Then(bind) : bind;
    }
}
