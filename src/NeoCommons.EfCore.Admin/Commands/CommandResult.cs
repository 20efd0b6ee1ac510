namespace NeoCommons.EfCore.Admin;

/// <summary>What a command found or did, in its two forms.</summary>
/// <param name="Json">The document that <c>--json</c> writes.</param>
/// <param name="Text">Writes it for people.</param>
/// <param name="ExitCode">What to tell the shell.</param>
internal sealed record CommandResult(object Json, Action<CommandOutput> Text, ExitCode ExitCode = ExitCode.Ok);
