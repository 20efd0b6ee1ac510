namespace NeoCommons.EfCore.Admin;

/// <summary>Ends a command with an exit code and one line that names the remedy.</summary>
internal sealed class CommandFailedException(ExitCode exitCode, string message, Exception? inner = null)
    : Exception(message, inner)
{
    public ExitCode ExitCode => exitCode;
}
