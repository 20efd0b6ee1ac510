using System.CommandLine;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>tenants list</c></summary>
internal sealed class TenantsListCommand : ConsoleCommand
{
    private readonly Option<string?> _status = new("--status") { Description = "Only those in this status." };
    private readonly Option<string?> _connection = new("--connection")
    {
        Description = "Only those of this connection.",
    };
    private readonly Option<string?> _type = new("--type") { Description = "Only those of this type." };

    public TenantsListCommand()
        : base("list", "Lists the tenants, ordered by slug.")
    {
        _status.AcceptOnlyFromAmong(
            StringComparer.OrdinalIgnoreCase,
            [.. Enum.GetValues<TenantStatus>().Select(TenantReport.Word)]
        );
        Options.Add(_status);
        Options.Add(_connection);
        Options.Add(_type);
    }

    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var (status, connection, type) = (run.Value(_status), run.Value(_connection), run.Value(_type));
        if (
            connection is not null
            && await run.Get<IConnectionRegistry>().FindAsync(connection, ct).ConfigureAwait(false) is null
        )
        {
            throw new ConnectionNotFoundException(connection);
        }

        var found = await run.Get<ITenantStore>()
            .ListAsync(ct)
            .Where(t =>
                (status is null || TenantReport.Word(t.Status).Equals(status, StringComparison.OrdinalIgnoreCase))
                && (connection is null || t.ConnectionName == connection)
                && (type is null || t.TenantType == type)
            )
            .OrderBy(t => t.Slug, StringComparer.Ordinal)
            .Select(TenantReport.Of)
            .ToListAsync(ct)
            .ConfigureAwait(false);
        return new CommandResult(
            found,
            output =>
                output.Table(
                    ["Slug", "Name", "Status", "Type", "Connection", "Schema", "Version"],
                    [
                        .. found.Select(t =>
                            new[]
                            {
                                t.Slug,
                                t.Name,
                                TenantReport.Word(t.Status),
                                t.Type,
                                t.Connection,
                                t.Schema,
                                t.SchemaVersion,
                            }
                        ),
                    ],
                    "There is no such tenant."
                )
        );
    }
}
