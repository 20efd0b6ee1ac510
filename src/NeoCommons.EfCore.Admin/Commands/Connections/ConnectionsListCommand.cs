using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace NeoCommons.EfCore.Admin;

/// <summary><c>connections list</c></summary>
internal sealed class ConnectionsListCommand() : ConsoleCommand("list", "Lists the registered databases.")
{
    public override async Task<CommandResult> RunAsync(CommandRun run, CancellationToken ct)
    {
        var rows = await run.Get<IConnectionRegistry>().ListAsync(ct).ConfigureAwait(false);
        var tenants = await run.Get<AdminReads>()
            .ReadAsync(
                (db, token) =>
                    db
                        .Tenants.GroupBy(t => t.Connection!.ConnectionName)
                        .Select(g => new { g.Key, Count = g.Count() })
                        .ToDictionaryAsync(g => g.Key, g => g.Count, token),
                ct
            )
            .ConfigureAwait(false);
        var options = run.Get<IOptions<ConnectionOptions>>().Value;
        var reports = rows.Select(r => ConnectionReport.Of(r, options, tenants.GetValueOrDefault(r.Name))).ToList();
        return new CommandResult(
            reports,
            output =>
                output.Table(
                    ["Name", "Type", "Region", "Address", "Ssl", "Pooler", "Pool", "Tenants", "State"],
                    [
                        .. reports.Select(c =>
                            new[]
                            {
                                c.Name,
                                TenantReport.Word(c.Type),
                                c.Region,
                                $"{c.Username}@{string.Join(',', [$"{c.Host}:{c.Port}", .. c.ReplicaHosts])}/{c.Database}",
                                c.SslMode,
                                TenantReport.Word(c.Pooler),
                                $"{c.MinPoolSize}-{c.MaxPoolSize}",
                                c.Tenants.ToString(CultureInfo.InvariantCulture),
                                !c.IsActive ? "disabled"
                                : c.Faults.Count > 0 ? "refused: " + string.Join("; ", c.Faults)
                                : c.PasswordIsReadable
                                    ? c.FailoverConnection is { } failover ? $"active, failover {failover}"
                                        : "active"
                                : "password unreadable",
                            }
                        ),
                    ],
                    "No database is registered. Register one: connections add."
                )
        );
    }
}
