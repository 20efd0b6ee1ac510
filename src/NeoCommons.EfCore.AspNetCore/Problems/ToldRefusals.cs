using System.Collections.Concurrent;

namespace NeoCommons.EfCore.AspNetCore;

/// <summary>Which refusals the log was told of lately: each is told once a minute, and not with each request that meets it.</summary>
internal sealed class ToldRefusals(TimeProvider time)
{
    private static readonly TimeSpan Quiet = TimeSpan.FromMinutes(1);

    // More tenants than that at once are one cause, and nobody reads a line of each.
    private const int Most = 1_000;

    private Told _told = new(time.GetTimestamp());

    /// <summary>Whether it is to be told now.</summary>
    /// <param name="whose">The tenant or the connection.</param>
    /// <param name="why">What it is refused for.</param>
    public bool TryTell(string whose, object why)
    {
        var told = Volatile.Read(ref _told);
        if (time.GetElapsedTime(told.Since) >= Quiet)
        {
            var next = new Told(time.GetTimestamp());
            var other = Interlocked.CompareExchange(ref _told, next, told);
            told = ReferenceEquals(other, told) ? next : other;
        }

        return !told.All.ContainsKey((whose, why)) && told.All.Count < Most && told.All.TryAdd((whose, why), true);
    }

    private sealed record Told(long Since)
    {
        public ConcurrentDictionary<(string Whose, object Why), bool> All { get; } = [];
    }
}
