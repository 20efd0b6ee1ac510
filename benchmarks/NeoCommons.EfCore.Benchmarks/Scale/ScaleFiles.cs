namespace NeoCommons.EfCore.Benchmarks.Scale;

/// <summary>What was measured, for tools and for people who would rather look.</summary>
internal static class ScaleFiles
{
    public static async Task WriteAsync(string path, IReadOnlyList<Footprints> all, IReadOnlyList<ServerMemory> memory)
    {
        await Csv.WriteAsync(
            path + ".csv",
            "way,tenants,sample,heap_mib,models,pools,connections,admin_connections,first_query_ms,read_us",
            all.SelectMany(of =>
                of.Samples.Select(
                    (f, sample) =>
                        Numbers.Text(
                            $"\"{of.Way}\",{of.Tenants},{sample + 1},{f.HeapMiB:0.00},{f.Models},{f.Pools},{f.Connections},{f.AdminConnections},{f.FirstMilliseconds:0.00},{f.Microseconds:0}"
                        )
                )
            )
        );
        await Csv.WriteAsync(
            path + "-memory.csv",
            "way,tenants,tables_each,connections,server_mib,renewed,seconds",
            memory.Select(m =>
                Numbers.Text(
                    $"\"{m.Way}\",{m.Tenants},{WideContext.Tables},{m.Connections},{m.MiB:0.0},{m.Renewed},{m.Seconds:0.0}"
                )
            )
        );
        await PlotAsync("heap", "Managed heap", "MiB", f => f.HeapMiB);
        await PlotAsync("models", "Models", "models", f => f.Models);
        await PlotAsync("connections", "Connections of the server", "connections", f => f.Connections);
        await PlotAsync("first", "A tenant's first query, median", "ms", f => f.FirstMilliseconds);
        await PlotAsync("read", "A point read, one caller", "us", f => f.Microseconds);
        await Plots.LinesAsync(
            $"{path}-server.svg",
            "Memory of a server process that has met all tables of all tenants: the mean of them when it was most",
            "tenants",
            "MiB",
            memory
                .GroupBy(m => m.Way)
                .Select(way =>
                    (way.Key, (IReadOnlyList<(double, double)>)[.. way.Select(m => ((double)m.Tenants, m.MiBOfOne))])
                )
        );

        Task PlotAsync(string name, string title, string unit, Func<Footprints, double> of) =>
            Plots.LinesAsync(
                $"{path}-{name}.svg",
                title,
                "tenants",
                unit,
                all.GroupBy(f => f.Way)
                    .Select(way =>
                        (way.Key, (IReadOnlyList<(double, double)>)[.. way.Select(f => ((double)f.Tenants, of(f)))])
                    )
            );
    }
}
