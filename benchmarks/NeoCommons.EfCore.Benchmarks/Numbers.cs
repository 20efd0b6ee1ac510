using System.Globalization;

namespace NeoCommons.EfCore.Benchmarks;

internal static class Numbers
{
    public static double Median(IReadOnlyCollection<double> values) => values.Order().ElementAt(values.Count / 2);

    /// <summary>The ratios of the rounds: their median, and where their middle half begins and ends.</summary>
    public static (double Median, double From, double To) Ratio(IEnumerable<double> of, IEnumerable<double> to) =>
        MiddleHalf(of.Zip(to, (a, b) => a / b));

    /// <summary>The same of their differences.</summary>
    public static (double Median, double From, double To) More(IEnumerable<double> of, IEnumerable<double> to) =>
        MiddleHalf(of.Zip(to, (a, b) => a - b));

    /// <summary>The median of few values, and the least and the most of them.</summary>
    public static (double Median, double From, double To) Spread(IReadOnlyCollection<double> values) =>
        (Median(values), values.Min(), values.Max());

    private static (double Median, double From, double To) MiddleHalf(IEnumerable<double> values)
    {
        double[] all = [.. values.Order()];
        return (Median(all), all[all.Length / 4], all[all.Length * 3 / 4]);
    }

    public static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
