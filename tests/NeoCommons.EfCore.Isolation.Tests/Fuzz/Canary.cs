namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>A row that says whose it is, and who wrote it last.</summary>
internal sealed class Canary
{
    public long Id { get; set; }

    public required string Tenant { get; set; }

    public required string Writer { get; set; }

    /// <summary>Put there before the run and never deleted: whoever reads a table without one has read another table.</summary>
    public bool IsSeed { get; set; }

    public int Touched { get; set; }

    public string Note { get; set; } = "";
}
