using System.CommandLine;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants pool</c></summary>
internal sealed class TenantsPoolCommand : ConsoleCommand
{
    private readonly Option<string?> _refill = new("--refill")
    {
        Description = "Bring the pool of this connection to its size now.",
        HelpName = "connection",
    };
    private readonly Option<string?> _clear = new("--clear")
    {
        Description =
            "Drop the schemas that wait behind this connection; a process whose pool has a size makes new ones.",
        HelpName = "connection",
    };
    private readonly Option<bool> _dryRun = NewDryRun();

    public TenantsPoolCommand()
        : base("pool", "Shows the schemas that wait for new tenants (NeoCommons:WarmPool).")
    {
        Options.Add(_refill);
        Options.Add(_clear);
        Options.Add(_dryRun);
    }

    public override string AfterCancellation =>
        "A schema that was being made or dropped is cleared away by the next refill, or when the command is repeated.";

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var size = run.Get<IOptions<WarmPoolOptions>>().Value.Size;
        var (refill, clear) = (run.Value(_refill), run.Value(_clear));
        if (refill is not null && clear is not null)
        {
            throw new CommandFailedException(ExitCode.Usage, "Say --refill or --clear, not both.");
        }

        if (refill is not null && size == 0)
        {
            throw new CommandFailedException(
                ExitCode.Configuration,
                "NeoCommons:WarmPool:Size is 0, so no schema waits for a tenant. Set it to the number that should."
            );
        }

        string? done = null;
        if ((refill ?? clear) is { } connection)
        {
            done = run.Value(_dryRun)
                ? await ForeseeAsync(run, connection, clear is not null, ct).ConfigureAwait(false)
                : await ChangeAsync(run, connection, clear is not null, ct).ConfigureAwait(false);
        }

        var waiting = await ReadAsync(run, ct).ConfigureAwait(false);
        return new CommandResult(
            new
            {
                DryRun = run.Value(_dryRun),
                Size = size,
                Waiting = waiting,
            },
            output =>
            {
                output.Table(
                    ["Connection", "Type", "Version", "Waiting"],
                    [.. waiting.Select(w => new[] { w.Connection, w.Type, w.Version ?? "being made", $"{w.Count}" })],
                    size == 0
                        ? "No schema waits: NeoCommons:WarmPool:Size is 0."
                        : "No schema waits yet; a process of the application makes them, or --refill."
                );
                if (done is not null)
                {
                    output.Line(done);
                }
                else if (size == 0 && waiting.Count > 0)
                {
                    output.Line(
                        "NeoCommons:WarmPool:Size is 0 here, so no tenant takes them: 'tenants pool --clear CONNECTION' drops them."
                    );
                }
            }
        );
    }

    private static async Task<string> ForeseeAsync(CommandRun run, string connection, bool clears, CancellationToken ct)
    {
        _ =
            await run.Get<IConnectionRegistry>().FindAsync(connection, ct).ConfigureAwait(false)
            ?? throw new ConnectionNotFoundException(connection);
        return clears
            ? $"Would drop the schemas that wait behind connection '{connection}', if any do. Nothing was changed."
            : $"Would bring the pool of connection '{connection}' to its size. Nothing was changed.";
    }

    private static async Task<string?> ChangeAsync(CommandRun run, string connection, bool clears, CancellationToken ct)
    {
        var stock = run.Get<WarmSchemaStock>();
        if (!clears)
        {
            await stock.RefillAsync(connection, ct).ConfigureAwait(false);
            return null;
        }

        var dropped =
            await stock.DropAllAsync(connection, ct).ConfigureAwait(false)
            ?? throw new CommandFailedException(
                ExitCode.Conflict,
                $"Another process is at the pool of connection '{connection}'. Wait for it, and repeat the command."
            );
        return $"Dropped {CommandOutput.Count(dropped, "schema")} that waited behind connection '{connection}'.";
    }

    private static async Task<IReadOnlyList<Waiting>> ReadAsync(CommandRun run, CancellationToken ct)
    {
        var context = await run.Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        return await context
            .WarmSchemas.GroupBy(s => new
            {
                s.Connection!.ConnectionName,
                s.TenantType,
                s.SchemaVersion,
            })
            .OrderBy(g => g.Key.ConnectionName)
            .Select(g => new Waiting(g.Key.ConnectionName, g.Key.TenantType, g.Key.SchemaVersion, g.Count()))
            .ToListAsync(ct)
            .ConfigureAwait(false);
    }

    private sealed record Waiting(string Connection, string? Type, string? Version, int Count);
}
