namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>What a binding promises to stand, besides queries, saves and transactions of EF.</summary>
[Flags]
internal enum Doors
{
    None = 0,

    /// <summary>Contexts that only read.</summary>
    ReadOnly = 1,

    /// <summary>A tenant's connections without EF.</summary>
    Raw = 2,

    /// <summary>A <c>TransactionScope</c>.</summary>
    Scope = 4,

    /// <summary>The application changes the session: resets it, leads its path elsewhere, makes temporary tables.</summary>
    Session = 8,

    /// <summary>A context's connection that is opened behind EF's back.</summary>
    Reopened = 16,

    /// <summary>The application discards the session, which no transaction may hold.</summary>
    Discard = 32,

    All = ReadOnly | Raw | Scope | Session | Reopened | Discard,
}
