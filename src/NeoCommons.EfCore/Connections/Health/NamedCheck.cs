namespace NeoCommons.EfCore;

/// <summary>A check of the application.</summary>
/// <param name="Name">What is shown as the reason where the connection is not healthy.</param>
/// <param name="ConnectionName">The connection that it is for; null: all of them.</param>
/// <param name="Check">The check.</param>
internal sealed record NamedCheck(string Name, string? ConnectionName, ConnectionCheck Check);
