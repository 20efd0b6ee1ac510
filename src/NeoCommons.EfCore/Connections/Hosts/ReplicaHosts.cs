using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace NeoCommons.EfCore;

/// <summary>The further hosts of a connection: servers that replicate the row's host, or take its place.</summary>
/// <remarks>
/// Immutable, compared by value and in order. What it holds is data from outside: it is checked when the pool is built, as the
/// rest of a row is.
/// </remarks>
public sealed class ReplicaHosts : IReadOnlyList<string>, IEquatable<ReplicaHosts>
{
    private readonly string[] _hosts;

    private ReplicaHosts(string[] hosts) => _hosts = hosts;

    /// <summary>No further host.</summary>
    public static ReplicaHosts None { get; } = new([]);

    /// <summary>How many there are.</summary>
    public int Count => _hosts.Length;

    /// <summary>One of them: a name or address, and a port where it is not the row's.</summary>
    public string this[int index] => _hosts[index];

    /// <summary>Reads the column <c>replica_hosts</c>: names or addresses, each with or without a port, between commas.</summary>
    /// <param name="text">For example <c>db-2.example.com, db-3.example.com:5433, [2001:db8::7]:5432</c>; null or blank: none.</param>
    public static ReplicaHosts Parse(string? text) =>
        string.IsNullOrWhiteSpace(text) ? None : new(text.Split(',', StringSplitOptions.TrimEntries));

    /// <inheritdoc/>
    public bool Equals([NotNullWhen(true)] ReplicaHosts? other) =>
        other is not null && _hosts.AsSpan().SequenceEqual(other._hosts);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ReplicaHosts);

    /// <inheritdoc/>
    public override int GetHashCode() => _hosts.Aggregate(0, HashCode.Combine);

    /// <summary>As the column has it.</summary>
    public override string ToString() => string.Join(',', _hosts);

    /// <inheritdoc/>
    public IEnumerator<string> GetEnumerator() => _hosts.AsEnumerable().GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
