using System.CommandLine;
using Microsoft.Extensions.DependencyInjection;

namespace NeoCommons.EfCore.Admin;

/// <summary>One run of a command: its values, its services, and whom it talks to.</summary>
internal sealed class CommandRun(ParseResult parsed, IServiceProvider services, CommandConsole console)
{
    public const string JsonOption = "--json";
    public const string VerboseOption = "--verbose";

    public bool IsJson => parsed.GetValue<bool>(JsonOption);

    public bool IsVerbose => parsed.GetValue<bool>(VerboseOption);

    public T? Value<T>(Option<T> option) => parsed.GetValue(option);

    public T? Value<T>(Argument<T> argument) => parsed.GetValue(argument);

    /// <summary>Whether the line has the option, whatever its default is.</summary>
    public bool IsGiven(Option option) => parsed.GetResult(option) is { Implicit: false };

    public T Required<T>(Option<T> option) => parsed.GetRequiredValue(option);

    public T Required<T>(Argument<T> argument) => parsed.GetRequiredValue(argument);

    /// <summary>A service of the application.</summary>
    /// <exception cref="CommandFailedException">The application has no admin database.</exception>
    public T Get<T>()
        where T : notnull =>
        services.GetService<T>()
        ?? throw new CommandFailedException(
            ExitCode.Configuration,
            "The application has no admin database: call AddNeoCommons(...).UseAdminDatabase() when it registers its services."
        );

    /// <summary>Tells how far it is, beside the result.</summary>
    public void Say(string text) => console.Error.WriteLine(text);

    /// <summary>The same, on the line that is being drawn anew.</summary>
    public void SayOnLine(string text) => console.Error.Write(text);

    /// <summary>Whether a line can be drawn anew.</summary>
    public bool DrawsLine => console.IsErrorDrawn;

    /// <summary>The password: from the environment variable of this name, else from whoever types, else a line of stdin.</summary>
    /// <exception cref="CommandFailedException">There is none.</exception>
    public async Task<string> ReadPasswordAsync(string? variable, string prompt, CancellationToken ct)
    {
        var password =
            variable is not null ? Environment.GetEnvironmentVariable(variable)
            : console.AskSecret is { } ask ? await ask(prompt, ct).ConfigureAwait(false)
            // On a thread of its own: the console's reader blocks, and would sit out the token.
            : await Task.Run(console.In.ReadLine, ct).WaitAsync(ct).ConfigureAwait(false);
        return string.IsNullOrEmpty(password)
            ? throw new CommandFailedException(
                ExitCode.Usage,
                variable is not null
                    ? $"Environment variable {variable} is not set. Set it to the password."
                    : "There is no password. Write it to stdin, or name an environment variable with --password-env."
            )
            : password;
    }
}
