using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>What the data source of several servers has besides that of one.</summary>
/// <param name="hosts">The servers.</param>
/// <param name="calls">What it calls back.</param>
/// <param name="forReads">Whether the servers share the load.</param>
internal sealed class HostSettings(IReadOnlyList<RowHost> hosts, HostCalls calls, bool forReads)
{
    public void ApplyTo(NpgsqlConnectionStringBuilder settings)
    {
        settings.Host = string.Join(',', hosts.Select(h => h.Address.ToString()));
        settings.LoadBalanceHosts = forReads;

        // One killed session hides its host for so long; with 0 the driver asks in a round trip of its own at each open.
        settings.HostRecheckSeconds = (int)HostWatch.Interval.TotalSeconds;
    }

    public void ApplyTo(NpgsqlDataSourceBuilder builder) =>
        builder.UsePhysicalConnectionInitializer(calls.Admit, calls.AdmitAsync);
}
