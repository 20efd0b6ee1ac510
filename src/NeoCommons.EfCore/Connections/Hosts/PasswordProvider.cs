namespace NeoCommons.EfCore;

/// <summary>Gives the driver the password of a row.</summary>
/// <param name="host">The server that asks.</param>
/// <param name="async">Whether to wait without a thread.</param>
/// <param name="ct">The token of the open.</param>
internal delegate ValueTask<string> PasswordProvider(HostAddress host, bool async, CancellationToken ct);
