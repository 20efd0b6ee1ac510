using Spectre.Console;

namespace NeoCommons.EfCore.Admin;

/// <summary>Where a command reads and writes.</summary>
internal sealed class CommandConsole
{
    /// <summary>The result, and nothing else.</summary>
    public required TextWriter Out { get; init; }

    /// <summary>Errors and progress.</summary>
    public required TextWriter Error { get; init; }

    /// <summary>Where a password comes from, unless an environment variable holds it.</summary>
    public required TextReader In { get; init; }

    /// <summary>Draws on <see cref="Out"/> where that is a terminal; null where it is a file or a pipe, which get plain text.</summary>
    public IAnsiConsole? Terminal { get; init; }

    /// <summary>Whether <see cref="Error"/> is a terminal, whose last line can be drawn anew.</summary>
    public bool IsErrorDrawn { get; init; }

    /// <summary>Asks for a password without showing it; null where nobody sits there.</summary>
    public Func<string, CancellationToken, Task<string>>? AskSecret { get; init; }

    /// <summary>The console of this process. What else writes to <see cref="Console.Out"/> is led to the error stream.</summary>
    public static CommandConsole OfProcess()
    {
        var output = Console.Out;

        // Before the next line: it asks whether the writer is the console's.
        var terminal = Console.IsOutputRedirected ? null : Draw(output);
        Console.SetOut(Console.Error);
        return new CommandConsole
        {
            Out = output,
            Error = Console.Error,
            In = Console.In,
            Terminal = terminal,
            IsErrorDrawn = !Console.IsErrorRedirected,
            AskSecret = Console.IsInputRedirected || Console.IsErrorRedirected ? null : AskAsync,
        };
    }

    private static IAnsiConsole Draw(TextWriter writer) =>
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });

    private static Task<string> AskAsync(string what, CancellationToken ct) =>
        new TextPrompt<string>(Markup.Escape(what)).Secret(null).ShowAsync(Draw(Console.Error), ct);
}
