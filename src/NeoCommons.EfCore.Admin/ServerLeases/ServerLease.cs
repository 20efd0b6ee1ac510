namespace NeoCommons.EfCore.Admin;

/// <summary>What a process has of a server's connections, and what it would use.</summary>
internal readonly record struct ServerLease(string Server, int Connections, int Wanted);
