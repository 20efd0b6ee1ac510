namespace NeoCommons.EfCore.Isolation.Tests.Faults;

/// <summary>What goes wrong, at one place after the other.</summary>
public enum Fault
{
    /// <summary>The network breaks before something reaches the server.</summary>
    RequestIsCut,

    /// <summary>The network breaks before an answer arrives: the server has done its work.</summary>
    AnswerIsCut,

    /// <summary>The server ends all sessions before something reaches it.</summary>
    SessionIsKilled,

    /// <summary>The caller's token is cancelled before something reaches the server.</summary>
    CancelledAtRequest,

    /// <summary>The caller's token is cancelled before an answer arrives.</summary>
    CancelledAtAnswer,

    /// <summary>The clock, which is read between the open and the end of the bind, throws.</summary>
    ClockThrows,

    /// <summary>The caller's token is cancelled while the clock is read.</summary>
    CancelledAtClock,

    /// <summary>The password cannot be had.</summary>
    PasswordThrows,

    /// <summary>The caller's token is cancelled while the password is fetched.</summary>
    CancelledAtPassword,

    /// <summary>Nothing comes through any more, until a timeout ends the operation.</summary>
    Silence,
}

/// <summary>What the application does meanwhile.</summary>
public enum Work
{
    /// <summary>A query of EF.</summary>
    Read,

    /// <summary>Two rows at once.</summary>
    Save,

    /// <summary>The connection is opened through EF, used by EF and by raw SQL, and closed.</summary>
    Open,

    /// <summary>A transaction with a query, an update, a savepoint and raw SQL.</summary>
    Transaction,

    /// <summary>Dapper, which opens the context's connection itself.</summary>
    Dapper,

    /// <summary>A context that only reads.</summary>
    ReadOnly,

    /// <summary>A context in a <c>TransactionScope</c>, and then a raw connection in it.</summary>
    Scope,

    /// <summary>A tenant's connection without EF.</summary>
    TenantConnection,
}

/// <summary>How the pool is found.</summary>
public enum Pool
{
    /// <summary>New: the operation opens a physical connection, loads types, and looks for a pooler.</summary>
    New,

    /// <summary>Its one physical connection was another tenant's a moment ago.</summary>
    Used,

    /// <summary>The other tenant has led the session elsewhere, and left a temporary table.</summary>
    Littered,
}

/// <summary>One mix; the fault strikes at one place after the other, until there are no more.</summary>
public sealed record FaultCase
{
    public Fault Fault { get; init; }

    public Work Work { get; init; }

    public Pool Pool { get; init; }

    public SchemaBinding Binding { get; init; }

    public SessionReset Reset { get; init; }

    /// <summary>Whether the bind travels with the first command, or is executed.</summary>
    public bool Prepend { get; init; }

    public bool Async { get; init; }

    /// <summary>Whether EF's retry on failure is on.</summary>
    public bool Retry { get; init; }

    public bool PooledContexts { get; init; }

    /// <summary>Whether the connection is tried before it is used again.</summary>
    public bool PrePing { get; init; }

    private bool NeedsToken =>
        Fault
            is Fault.CancelledAtRequest
                or Fault.CancelledAtAnswer
                or Fault.CancelledAtClock
                or Fault.CancelledAtPassword;

    /// <summary>Whether there is such a thing: synchronous operations of EF take no token, for one.</summary>
    public bool IsPossible =>
        (Async || !(NeedsToken || Work == Work.TenantConnection))
        && (Work != Work.Scope || Reset == SessionReset.Always)
        && (Pool == Pool.New || Fault is not (Fault.PasswordThrows or Fault.CancelledAtPassword));

    public override string ToString() =>
        string.Join(
            ", ",
            $"{Fault}",
            $"{Work}",
            $"{Pool} pool",
            $"{Binding}",
            $"reset {Reset}",
            Prepend ? "prepended" : "executed",
            Async ? "async" : "sync",
            Retry ? "retry" : "no retry",
            PooledContexts ? "pooled contexts" : "new contexts",
            PrePing ? "pre-ping" : "no pre-ping"
        );
}
