using System.Globalization;

namespace NeoCommons.EfCore.Benchmarks;

internal static class Numbers
{
    public static double Median(IReadOnlyCollection<double> values) => values.Order().ElementAt(values.Count / 2);

    /// <summary>The ratios of the rounds: their median, and where their middle half begins and ends.</summary>
    public static (double Median, double From, double To) Ratio(IEnumerable<double> of, IEnumerable<double> to)
    {
        double[] ratios = [.. of.Zip(to, (a, b) => a / b).Order()];
        return (Median(ratios), ratios[ratios.Length / 4], ratios[ratios.Length * 3 / 4]);
    }

    /// <summary>The median of few values, and the least and the most of them.</summary>
    public static (double Median, double From, double To) Spread(IReadOnlyCollection<double> values) =>
        (Median(values), values.Min(), values.Max());

    public static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
