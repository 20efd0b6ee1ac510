namespace NeoCommons.EfCore.Admin;

/// <summary>What the histories of one schema say.</summary>
/// <param name="Schema">The schema.</param>
/// <param name="Exists">Whether it is there, and our user may see it.</param>
/// <param name="Version">The last migration applied, or null.</param>
/// <param name="Pending">How many migrations it lacks; none where it is ahead.</param>
/// <param name="IsAhead">Whether a newer version of the application has been here.</param>
/// <param name="Fault">Why its state cannot be told, or null.</param>
internal sealed record SchemaState(
    SchemaName Schema,
    bool Exists,
    string? Version,
    int Pending,
    bool IsAhead,
    Exception? Fault
);
