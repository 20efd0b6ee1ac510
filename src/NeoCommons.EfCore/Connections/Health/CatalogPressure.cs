namespace NeoCommons.EfCore;

/// <summary>How large a database's catalog is: what each server process that visits many schemas gathers in its memory.</summary>
public sealed record CatalogPressure
{
    /// <summary>Schemas, without PostgreSQL's own.</summary>
    public required long Schemas { get; init; }

    /// <summary>Relations: tables, indexes, sequences, views, without PostgreSQL's own.</summary>
    public required long Relations { get; init; }

    /// <summary>The size of <c>pg_class</c> and <c>pg_attribute</c> with their indexes, in bytes.</summary>
    public required long CatalogBytes { get; init; }
}
