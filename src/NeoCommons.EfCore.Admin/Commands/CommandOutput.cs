using Spectre.Console;

namespace NeoCommons.EfCore.Admin;

/// <summary>Writes a result for people: drawn on a terminal, plain text in columns elsewhere.</summary>
internal sealed class CommandOutput(CommandConsole console)
{
    private const string Gap = "  ";
    private const int BorderWidth = 3;

    /// <summary>Text of others, which may have line breaks, as one line.</summary>
    public static string OneLine(string text) =>
        string.Join(
            ' ',
            text.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
        );

    /// <summary>So many of them: "1 tenant", "2 tenants".</summary>
    public static string Count(int number, string what) =>
        FormattableString.Invariant($"{number} {what}{(number == 1 ? "" : "s")}");

    /// <summary>Writes a line.</summary>
    public void Line(string text) => console.Out.WriteLine(Clean(text));

    /// <summary>Writes text as it is: SQL, for one.</summary>
    public void Raw(string text) => console.Out.WriteLine(text);

    /// <summary>Writes a table; without rows, the sentence.</summary>
    public void Table(string[] columns, IReadOnlyCollection<string?[]> rows, string empty) =>
        // A terminal that is too narrow gets columns, too: broken lines can be read, and broken cells cannot.
        Table(
            columns,
            rows,
            empty,
            (cells, widths) => Align([columns.Select(c => c.ToUpperInvariant()).ToArray(), .. cells], widths)
        );

    /// <summary>The same for rows with sentences, which would make columns wider than any screen: a block for each.</summary>
    /// <param name="columns">The names of the columns.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="head">How many columns make the first line of a block.</param>
    /// <param name="empty">What is written where there is no row.</param>
    public void Blocks(string[] columns, IReadOnlyCollection<string?[]> rows, int head, string empty) =>
        Table(
            columns,
            rows,
            empty,
            (cells, _) =>
            {
                var width = columns.Skip(head).Max(c => c.Length) + 1;
                foreach (var row in cells)
                {
                    console.Out.WriteLine(string.Join(Gap, row.Take(head)));
                    foreach (var (name, cell) in columns.Zip(row).Skip(head))
                    {
                        console.Out.WriteLine(Gap + $"{name}:".PadRight(width + 1) + cell);
                    }
                }
            }
        );

    private void Table(
        string[] columns,
        IReadOnlyCollection<string?[]> rows,
        string empty,
        Action<List<string[]>, int[]> writePlain
    )
    {
        if (rows.Count == 0)
        {
            Line(empty);
            return;
        }

        var cells = rows.Select(row => row.Select(cell => Clean(cell ?? "-")).ToArray()).ToList();
        var widths = columns.Select((name, i) => Math.Max(name.Length, cells.Max(row => row[i].Length))).ToArray();
        if (console.Terminal is { } terminal && widths.Sum(w => w + BorderWidth) < terminal.Profile.Width)
        {
            Draw(terminal, columns, cells);
        }
        else
        {
            writePlain(cells, widths);
        }
    }

    /// <summary>Writes what is known of one thing, a line for each.</summary>
    public void Fields(params (string Name, string? Value)[] fields)
    {
        var width = fields.Max(f => f.Name.Length);
        foreach (var (name, value) in fields)
        {
            Line($"{name.PadRight(width)}{Gap}{value ?? "-"}");
        }
    }

    private static void Draw(IAnsiConsole terminal, string[] columns, IEnumerable<string[]> rows)
    {
        var table = new Table { Border = TableBorder.Rounded };
        foreach (var column in columns)
        {
            table.AddColumn(new TableColumn(new Text(column, new Style(decoration: Decoration.Bold))));
        }

        foreach (var row in rows)
        {
            table.AddRow(row.Select(cell => new Text(cell)));
        }

        terminal.Write(table);
    }

    private void Align(IEnumerable<string[]> rows, int[] widths)
    {
        foreach (var row in rows)
        {
            console.Out.WriteLine(string.Join(Gap, row.Select((cell, i) => cell.PadRight(widths[i]))).TrimEnd());
        }
    }

    // A name from a database must not move the cursor of whoever lists it.
    private static string Clean(string text) =>
        text.Any(char.IsControl) ? string.Concat(text.Select(c => char.IsControl(c) ? '\uFFFD' : c)) : text;
}
