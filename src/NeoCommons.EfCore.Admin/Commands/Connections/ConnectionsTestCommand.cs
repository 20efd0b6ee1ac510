using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>connections test</c></summary>
internal sealed class ConnectionsTestCommand : ConsoleCommand
{
    private readonly Argument<string?> _name = new("name")
    {
        Description = "The connection; all active ones, if not given.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    public ConnectionsTestCommand()
        : base("test", "Opens a connection as its row says, and shows what is there.") => Arguments.Add(_name);

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var registry = run.Get<IConnectionRegistry>();
        IEnumerable<DatabaseConnection> rows = run.Value(_name) is { } name
            ? [await registry.FindAsync(name, ct).ConfigureAwait(false) ?? throw new ConnectionNotFoundException(name)]
            : (await registry.ListAsync(ct).ConfigureAwait(false)).Where(r => r.IsActive);
        var trials = await Task.WhenAll(rows.Select(row => TryAsync(run, row, ct))).ConfigureAwait(false);
        return new CommandResult(
            trials,
            output =>
                output.Table(
                    ["Name", "Result"],
                    [.. trials.Select(t => new[] { t.Name, t.IsUsable ? t.Findings!.ToString() : t.Error })],
                    "No active database is registered."
                ),
            trials.All(t => t.IsUsable) ? ExitCode.Ok : ExitCode.Unavailable
        );
    }

    private static async Task<Trial> TryAsync(CommandRun run, DatabaseConnection row, CancellationToken ct)
    {
        try
        {
            return new Trial(
                row.Name,
                true,
                await run.Get<ConnectionTrial>().RunAsync(row, ct).ConfigureAwait(false),
                null
            );
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            return new Trial(row.Name, false, null, CommandFault.Of(e).Message);
        }
    }

    private sealed record Trial(string Name, bool IsUsable, ConnectionFindings? Findings, string? Error);
}
