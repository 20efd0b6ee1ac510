namespace NeoCommons.EfCore.Benchmarks.Fleet;

/// <summary>Ways that do the same for many tenants, on one server or several, and psql first of them: a table of their seconds.</summary>
internal static class BesidePsql
{
    /// <summary>The columns of the table.</summary>
    public const string Columns = "tenants | servers | rounds | way | s | ratio to psql | least-most";

    /// <summary>Runs them in turn, now the first one first and now the last, and writes a row for each.</summary>
    /// <param name="report">Where the rows are written.</param>
    /// <param name="what">What is done, for whoever waits.</param>
    /// <param name="tenants">For how many tenants.</param>
    /// <param name="servers">On how many servers.</param>
    /// <param name="rounds">How many times.</param>
    /// <param name="ways">The ways, psql first, each with its seconds.</param>
    /// <returns>The seconds of each round, of each way.</returns>
    public static async Task<IReadOnlyList<IReadOnlyList<double>>> CompareAsync(
        TextWriter report,
        string what,
        int tenants,
        int servers,
        int rounds,
        IReadOnlyList<(string Name, Func<Task<double>> Run)> ways
    )
    {
        var seconds = ways.Select(_ => new List<double>()).ToList();
        for (var round = 0; round < rounds; round++)
        {
            await Console.Error.WriteLineAsync($"{what}: {tenants:N0} tenants, {servers} servers, round {round + 1}");
            for (var turn = 0; turn < ways.Count; turn++)
            {
                var way = round % 2 == 0 ? turn : ways.Count - 1 - turn;
                seconds[way].Add(await ways[way].Run());
            }
        }

        foreach (var ((name, _), of) in ways.Zip(seconds))
        {
            var ratio = RatioOf(of, seconds[0]);
            await report.WriteLineAsync(
                Numbers.Text(
                    $"| {tenants:N0} | {servers} | {rounds} | {name} | {Numbers.Median(of):0.00} | {ratio.Median:0.00} | {ratio.From:0.00}-{ratio.To:0.00} |"
                )
            );
        }

        return seconds;
    }

    /// <summary>The ratios of the rounds of one way to those of another.</summary>
    public static (double Median, double From, double To) RatioOf(IEnumerable<double> of, IEnumerable<double> to) =>
        Numbers.Spread([.. of.Zip(to, (a, b) => a / b)]);

    /// <summary>A number of servers, in words.</summary>
    public static string Servers(int count) => $"{count} {(count == 1 ? "server" : "servers")}";
}
