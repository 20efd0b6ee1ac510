using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Query;
using Microsoft.Extensions.Options;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Changes a row of <c>admin.database_connections</c> by its name.</summary>
internal static class ConnectionRows
{
    /// <exception cref="ConnectionNotFoundException">There is no such row.</exception>
    public static async Task UpdateAsync(
        CommandRun run,
        string name,
        Action<UpdateSettersBuilder<DatabaseConnectionEntity>> set,
        CancellationToken ct
    )
    {
        var context = await run.Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var changed = await context
            .DatabaseConnections.Where(c => c.ConnectionName == name)
            .ExecuteUpdateAsync(set, ct)
            .ConfigureAwait(false);
        if (changed == 0)
        {
            throw new ConnectionNotFoundException(name);
        }
    }

    /// <summary>Changes a row that still names the target that was tried.</summary>
    /// <exception cref="CommandFailedException">It names another, or another row has what it should name.</exception>
    public static async Task UpdateAtAsync(
        CommandRun run,
        string name,
        SecretTarget target,
        Action<UpdateSettersBuilder<DatabaseConnectionEntity>> set,
        bool dryRun,
        CancellationToken ct
    )
    {
        var context = await run.Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        if (dryRun)
        {
            // Nobody commits it: the database checks all that it would.
            await context.Database.BeginTransactionAsync(ct).ConfigureAwait(false);
        }

        int changed;
        try
        {
            changed = await context
                .DatabaseConnections.Where(c => c.ConnectionName == name)
                .At(target)
                .ExecuteUpdateAsync(set, ct)
                .ConfigureAwait(false);
        }
        catch (PostgresException e) when (FailoverFault(e) is { } fault)
        {
            throw new CommandFailedException(ExitCode.Conflict, fault, e);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            throw new CommandFailedException(
                ExitCode.Conflict,
                "Another connection leads to that database already. See: connections list.",
                e
            );
        }

        if (changed == 0)
        {
            throw new CommandFailedException(
                ExitCode.Conflict,
                $"The row of connection '{name}' does not name {target}, or is gone: it was changed a moment ago. Look at it with "
                    + "connections list, and repeat the command."
            );
        }
    }

    /// <summary>What the column holds for an option's hosts: nothing where there are none.</summary>
    public static string? HostsOf(string? given) =>
        ReplicaHosts.Parse(given) is { Count: > 0 } hosts ? hosts.ToString() : null;

    /// <summary>Why a connection cannot be another's failover; null where that is not what was wrong.</summary>
    public static string? FailoverFault(Exception? e) =>
        e switch
        {
            PostgresException { ConstraintName: "fk_database_connections_failover" } =>
                "There is no connection of the name that --failover gives. See: connections list.",
            PostgresException { ConstraintName: "failover_has_no_tenants" } p =>
                $"{char.ToUpperInvariant(p.MessageText[0])}{p.MessageText[1..]}. {p.Hint}",
            PostgresException { ConstraintName: "ck_database_connections_failover_connection" } =>
                "A connection cannot be its own failover connection. Give another one's name, or none.",
            PostgresException { ConstraintName: "ux_database_connections_failover" } =>
                "The connection that --failover gives stands in for another one already. See: connections list.",
            PostgresException { ConstraintName: "ck_database_connections_failover_writes" } =>
                "--failover-writes needs --failover: there is nothing to write to.",
            _ => null,
        };

    /// <exception cref="CommandFailedException">The row holds values that cannot be used.</exception>
    public static void RefuseFaults(CommandRun run, DatabaseConnection row)
    {
        if (RowValidation.FindFaults(row, run.Get<IOptions<ConnectionOptions>>().Value) is { Count: > 0 } faults)
        {
            throw new CommandFailedException(
                ExitCode.Usage,
                $"Such a connection cannot be used: {RowFault.Join(faults)}."
            );
        }
    }
}
