using System.Text.Json;
using Spectre.Console;

namespace NeoCommons.EfCore.Admin.Tests.Commands;

/// <summary>Runs commands of an application in this process, and keeps what they write.</summary>
internal sealed class CommandLine(IServiceProvider services)
{
    /// <summary>What is typed, or piped.</summary>
    public string Input { get; init; } = "";

    /// <summary>How wide the terminal is; 0 where stdout is none.</summary>
    public int Width { get; init; }

    public static CommandLine Of(TestApp app, string input = "", int width = 0) =>
        new(app.Services) { Input = input, Width = width };

    public Task<Run> RunAsync(params string[] args) => RunUntilAsync(args, TestContext.Current.CancellationToken);

    public async Task<Run> RunUntilAsync(string[] args, CancellationToken ct)
    {
        using var output = new StringWriter();
        using var errors = new StringWriter();
        var console = new CommandConsole
        {
            Out = output,
            Error = errors,
            In = new StringReader(Input),
            Terminal = Width > 0 ? Draw(output, Width) : null,
            IsErrorDrawn = Width > 0,
        };
        var code = await CommandTree.RunAsync(args, services, console, ct);
        return new Run(code, output.ToString(), errors.ToString());
    }

    private static IAnsiConsole Draw(TextWriter output, int width)
    {
        var terminal = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = AnsiSupport.Yes,
                ColorSystem = ColorSystemSupport.TrueColor,
                Out = new AnsiConsoleOutput(output),
            }
        );
        terminal.Profile.Width = width;
        return terminal;
    }

    internal sealed record Run(int Code, string Out, string Errors)
    {
        /// <summary>The one document on stdout.</summary>
        public JsonElement Json => JsonDocument.Parse(Out).RootElement;

        public Run IsOk()
        {
            Assert.True(Code == 0, $"{Code}: {Errors}{Out}");
            return this;
        }

        /// <summary>Succeeded, and said this.</summary>
        public void Says(string part)
        {
            IsOk();
            Assert.Contains(part, Out, StringComparison.Ordinal);
        }

        /// <summary>Failed with this code and one line.</summary>
        public void Failed(int code, string part)
        {
            Assert.True(Code == code, $"{Code}: {Errors}{Out}");
            Assert.StartsWith("Error: ", Errors, StringComparison.Ordinal);
            Assert.Contains(part, Errors, StringComparison.Ordinal);
            Assert.Single(Errors.TrimEnd().Split('\n'));
        }
    }
}
