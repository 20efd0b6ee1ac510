using System.Globalization;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace NeoCommons.EfCore.Benchmarks;

/// <summary>Results for people who would rather look than read: SVG, beside the tables.</summary>
internal static class Plots
{
    private static readonly OxyColor[] Colors =
    [
        OxyColor.Parse("#1f6feb"),
        OxyColor.Parse("#d1242f"),
        OxyColor.Parse("#1a7f37"),
        OxyColor.Parse("#9a6700"),
        OxyColor.Parse("#8250df"),
        OxyColor.Parse("#57606a"),
        OxyColor.Parse("#bf3989"),
        OxyColor.Parse("#0a7b83"),
    ];

    /// <summary>Bars of several kinds for each name.</summary>
    public static async Task BarsAsync(
        string path,
        string title,
        string unit,
        IReadOnlyList<string> names,
        IEnumerable<(string Kind, IReadOnlyList<double> Values)> kinds
    )
    {
        var model = New(title);
        model.PlotMargins = new OxyThickness(380, double.NaN, double.NaN, double.NaN);
        model.Axes.Add(
            new CategoryAxis
            {
                Position = AxisPosition.Left,
                // From top to bottom, as the table has them.
                StartPosition = 1,
                EndPosition = 0,
                ItemsSource = names,
            }
        );
        model.Axes.Add(
            new LinearAxis
            {
                Position = AxisPosition.Bottom,
                Title = unit,
                Minimum = 0,
                MajorGridlineStyle = LineStyle.Dot,
            }
        );
        foreach (var (kind, i) in kinds.Select((kind, i) => (kind, i)))
        {
            var series = new BarSeries { Title = InFull(kind.Kind), FillColor = Colors[i] };
            series.Items.AddRange(kind.Values.Select(v => new BarItem(v)));
            model.Series.Add(series);
        }

        await WriteAsync(path, model, height: 120 + (names.Count * 42));
    }

    /// <summary>A line for each way, both axes logarithmic unless that of the values is to be linear.</summary>
    /// <remarks>
    /// A logarithm has no zero: with <paramref name="floor"/>, what is less is drawn there, as a hollow square and without a line, and
    /// the axis says so.
    /// </remarks>
    public static async Task LinesAsync(
        string path,
        string title,
        string xTitle,
        string yTitle,
        IEnumerable<(string Way, IReadOnlyList<(double X, double Y)> Points)> ways,
        double floor = 0.1,
        bool isLinear = false
    )
    {
        var model = New(title);
        var all = ways.ToList();
        var hasFloor = !isLinear && all.Exists(way => way.Points.Any(p => p.Y < floor));
        model.Axes.Add(Axis(new LogarithmicAxis(), AxisPosition.Bottom, xTitle));
        model.Axes.Add(
            Axis(
                isLinear ? new LinearAxis() : new LogarithmicAxis(),
                AxisPosition.Left,
                hasFloor ? Numbers.Text($"{yTitle} (squares: {floor} or less)") : yTitle
            )
        );

        foreach (var ((way, points), i) in all.Select((way, i) => (way, i)))
        {
            var color = Colors[i % Colors.Length];
            var line = new LineSeries
            {
                Title = InFull(way),
                Color = color,
                MarkerType = MarkerType.Circle,
                MarkerFill = color,
            };
            var low = new LineSeries
            {
                LineStyle = LineStyle.None,
                MarkerType = MarkerType.Square,
                MarkerFill = OxyColors.White,
                MarkerStroke = color,
                MarkerStrokeThickness = 1.5,
            };
            foreach (var (x, y) in points.Where(p => !double.IsNaN(p.Y)))
            {
                var isLow = !isLinear && y < floor;
                line.Points.Add(isLow ? DataPoint.Undefined : new DataPoint(x, y));
                if (isLow)
                {
                    low.Points.Add(new DataPoint(x, floor));
                }
            }

            model.Series.Add(line);
            model.Series.Add(low);
        }

        await WriteAsync(path, model, height: 520);
    }

    private static Axis Axis(Axis axis, AxisPosition position, string title)
    {
        axis.Position = position;
        axis.Title = title;
        axis.AxisTitleDistance = 14;
        axis.MajorGridlineStyle = LineStyle.Dot;
        axis.LabelFormatter = value => value.ToString("#,0.##", CultureInfo.InvariantCulture);
        return axis;
    }

    // The exporter takes texts for shorter than they are, and cuts them there.
    private static string InFull(string text) => text + new string('\u00a0', 6 + (text.Length / 3));

    private static PlotModel New(string title)
    {
        var model = new PlotModel
        {
            Title = title,
            TitleFontSize = 15,
            DefaultFont = "Arial, sans-serif",
            Background = OxyColors.White,
            Culture = CultureInfo.InvariantCulture,
        };
        model.Legends.Add(
            new Legend
            {
                LegendPlacement = LegendPlacement.Outside,
                LegendPosition = LegendPosition.BottomCenter,
                LegendLineSpacing = 4,
            }
        );
        return model;
    }

    private static async Task WriteAsync(string path, PlotModel model, int height)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var exporter = new SvgExporter { Width = 900, Height = height };
        await using var file = File.Create(path);
        exporter.Export(model, file);
    }
}
