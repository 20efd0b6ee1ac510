namespace NeoCommons.EfCore.Admin;

/// <summary>A row of <c>admin.server_leases</c>: what a process has of a server's connections, until when.</summary>
internal sealed class ServerLeaseEntity
{
    /// <summary>Host and port.</summary>
    public required string Server { get; set; }

    /// <summary>The process.</summary>
    public Guid ProcessId { get; set; }

    /// <summary>How many connections it may have.</summary>
    public int Connections { get; set; }

    /// <summary>How many it would use.</summary>
    public int Wanted { get; set; }

    /// <summary>When the lease ends, unless it is renewed.</summary>
    public DateTimeOffset ExpiresAt { get; set; }
}
