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

    private const int AnswersOfBegin = 2;

    // A transaction that a scope has begun keeps the read-only default that it began with, whatever is reset in it.
    private static readonly SessionStatement ResetInScope = new SessionStatement(
        "SET LOCAL transaction_read_only = off",
        results: 1
    ).Then(Reset);

    /// <summary>The bind, after a reset where one is due and the driver leaves it out.</summary>
    /// <param name="bind">The bind.</param>
    /// <param name="open">The connection, as the driver has just given it.</param>
    /// <param name="physical">What is under it.</param>
    /// <param name="source">Its pool, if it is of one.</param>
    public static SessionStatement? Before(
        SessionStatement? bind,
        NpgsqlConnection open,
        PhysicalConnection physical,
        PooledDataSource? source
    )
    {
        var scope = AmbientScope.Id;

        // A mark stays until the reset has been answered: what was prepended is dropped if no command follows.
        physical.NeedsReset |=
            (physical.Scope is not null && physical.Scope != scope)
            || (bind is null && physical.IsBound)
            || IsLeftOut(open, physical, source, scope)
            || (physical.HasTimeout && bind is not { HasTimeout: true });
        var entersScope = scope is not null && physical.Scope != scope;
        physical.Scope = scope;
        physical.IsBound |= bind is not null;
        physical.HasTimeout |= bind is { HasTimeout: true };
        return physical.NeedsReset ? (entersScope ? ResetInScope : Reset).Then(bind) : bind;
    }

    // The driver's reset travels with the next command, and a BEGIN behind it. It is left out where a session was enlisted by hand in a
    // transaction, and closed before that ended; and within one scope, where it is handed on as it is.
    private static bool IsLeftOut(
        NpgsqlConnection open,
        PhysicalConnection physical,
        PooledDataSource? source,
        string? scope
    ) =>
        source is { OwnsReset: false, Row.Pooler: not PoolerMode.Transaction }
        && (!physical.IsNew || source.Life.IsHandedOut)
        && (scope is null || physical.Scope != scope)
        && FirstCommand.Waiting(open) <= (scope is null ? 0 : AnswersOfBegin);
}
