using System.Diagnostics.Metrics;

namespace NeoCommons.EfCore;

/// <summary>The servers of connections with several, in the meter.</summary>
internal static class HostGauges
{
    /// <summary>Has them read whenever somebody asks.</summary>
    /// <param name="meter">The meter.</param>
    /// <param name="pools">The pools in use.</param>
    /// <param name="time">The clock.</param>
    public static void Create(Meter meter, Func<IEnumerable<PooledDataSource>> pools, TimeProvider time)
    {
        meter.CreateObservableGauge(
            "neocommons.host.serving",
            () => Each<int>(host => host.Reason is null ? 1 : 0),
            "1",
            "1 while connections are opened to a host of replica_hosts, or to the row's own, else 0."
        );
        meter.CreateObservableGauge(
            "neocommons.host.lag",
            () => Each<double>(host => host.LagSeconds),
            "s",
            "How far a standby is behind its primary at most."
        );

        IEnumerable<Measurement<T>> Each<T>(Func<HostHealth, T?> read)
            where T : struct =>
            from pool in pools()
            from host in pool.Hosts.Read(time)
            let value = read(host)
            where value is not null
            select new Measurement<T>(
                value.Value,
                new(NeoCommonsTelemetry.ConnectionTag, pool.Row.Name),
                new("neocommons.host.number", host.Number),
                new(
                    "neocommons.host.role",
                    host.IsPrimary switch
                    {
                        true => "primary",
                        false => "standby",
                        null => "unknown",
                    }
                )
            );
    }
}
