namespace NeoCommons.EfCore;

/// <summary>What a command of EF may do.</summary>
internal enum CommandKind
{
    /// <summary>EF's own SQL, which only reads.</summary>
    Query,

    /// <summary>EF's own SQL, which writes.</summary>
    Write,

    /// <summary>A query with SQL of the application in it: it may leave something in the session, and call what writes.</summary>
    ForeignQuery,

    /// <summary>SQL of the application, which may do anything.</summary>
    Foreign,
}
