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

    public TenantsPoolCommand()
        : base("pool", "Shows the schemas that wait for new tenants (NeoCommons:WarmPool).") => Options.Add(_refill);

    public override string AfterCancellation =>
        "A schema that was being made is cleared away by the next refill; those that wait stay.";

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var size = run.Get<IOptions<WarmPoolOptions>>().Value.Size;
        if (run.Value(_refill) is { } connection)
        {
            if (size == 0)
            {
                throw new CommandFailedException(
                    ExitCode.Configuration,
                    "NeoCommons:WarmPool:Size is 0, so no schema waits for a tenant. Set it to the number that should."
                );
            }

            await run.Get<WarmSchemaStock>().RefillAsync(connection, ct).ConfigureAwait(false);
        }

        var context = await run.Get<IDbContextFactory<AdminDbContext>>().CreateDbContextAsync(ct).ConfigureAwait(false);
        await using var _ = context.ConfigureAwait(false);
        var waiting = await context
            .WarmSchemas.GroupBy(s => new
            {
                s.Connection!.ConnectionName,
                s.TenantType,
                s.SchemaVersion,
            })
            .Select(g => new
            {
                Connection = g.Key.ConnectionName,
                Type = g.Key.TenantType,
                Version = g.Key.SchemaVersion,
                Count = g.Count(),
            })
            .OrderBy(g => g.Connection)
            .ToListAsync(ct)
            .ConfigureAwait(false);
        return new CommandResult(
            new { Size = size, Waiting = waiting },
            output =>
                output.Table(
                    ["Connection", "Type", "Version", "Waiting"],
                    [.. waiting.Select(w => new[] { w.Connection, w.Type, w.Version ?? "being made", $"{w.Count}" })],
                    size == 0
                        ? "No schema waits: NeoCommons:WarmPool:Size is 0."
                        : "No schema waits yet; a process of the application makes them, or --refill."
                )
        );
    }
}
