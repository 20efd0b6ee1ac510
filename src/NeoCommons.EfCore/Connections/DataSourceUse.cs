namespace NeoCommons.EfCore;

/// <summary>What the sessions of a data source are for.</summary>
internal enum DataSourceUse
{
    /// <summary>The row's pool: work of the application, one lease after the other.</summary>
    Pool,

    /// <summary>Work of the application whose session ends with its lease (<see cref="Quarantine"/>).</summary>
    Apart,

    /// <summary>Our own work, which must end with its session. Loads no types, and is part of nobody's transaction.</summary>
    Beside,
}
