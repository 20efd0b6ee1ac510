namespace NeoCommons.EfCore.Admin;

/// <summary>What was committed when a row was read from the admin database, so that a later change of it can be told.</summary>
/// <param name="ServerStartedAt">The start of the server that it was read from, as in <see cref="RegistryPosition"/>.</param>
/// <param name="Below">The transactions below are known to it.</param>
internal readonly record struct RowPosition(DateTimeOffset ServerStartedAt, long Below);
