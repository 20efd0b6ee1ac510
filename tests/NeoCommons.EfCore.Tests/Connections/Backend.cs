namespace NeoCommons.EfCore.Tests.Connections;

/// <summary>A server process of the library's pools, as <c>pg_stat_activity</c> shows it.</summary>
internal sealed record Backend(int Pid, string ApplicationName, string State);
