using System.Globalization;

namespace NeoCommons.EfCore.Benchmarks;

internal static class Numbers
{
    public static double Median(IReadOnlyCollection<double> values) => values.Order().ElementAt(values.Count / 2);

    public static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
