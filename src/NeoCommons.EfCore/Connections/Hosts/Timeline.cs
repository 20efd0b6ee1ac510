namespace NeoCommons.EfCore;

/// <summary>The highest timeline that this process has seen of servers that replicate each other, by whom it was seen.</summary>
internal sealed class Timeline
{
    // No connection's name.
    private const string Nobody = "";

    private readonly Dictionary<string, (long Newest, long WatchedAt)> _seen = new(StringComparer.Ordinal);
    private long _newest;

    /// <summary>The highest; 0 where none was seen.</summary>
    public long Newest => Volatile.Read(ref _newest);

    /// <summary>Forgets it: it was of another server at the same address.</summary>
    public void Forget()
    {
        lock (_seen)
        {
            _seen.Clear();
            Volatile.Write(ref _newest, 0);
        }
    }

    /// <summary>Notes the timeline of a primary.</summary>
    /// <param name="connection">Whose host it is.</param>
    /// <param name="timeline">Its timeline.</param>
    /// <param name="now">When it was seen.</param>
    public void See(string connection, long timeline, long now)
    {
        lock (_seen)
        {
            var known = _seen.GetValueOrDefault(connection);
            _seen[connection] = (Math.Max(timeline, known.Newest), Math.Max(now, known.WatchedAt));
            Volatile.Write(ref _newest, Math.Max(_newest, timeline));
        }
    }

    /// <summary>Notes that a connection's hosts are looked at, whatever they say: what it has seen counts.</summary>
    public void Watch(string connection, long now)
    {
        lock (_seen)
        {
            if (_seen.TryGetValue(connection, out var seen))
            {
                _seen[connection] = (seen.Newest, now);
            }
        }
    }

    /// <summary>Forgets what a connection has seen, and all others whose hosts nobody looks at any more.</summary>
    public void Forget(string connection, Func<long, bool> isOver)
    {
        lock (_seen)
        {
            foreach (var (whose, seen) in _seen)
            {
                if (whose == connection || isOver(seen.WatchedAt))
                {
                    _seen.Remove(whose);
                }
            }

            Volatile.Write(ref _newest, _seen.Values.Select(seen => seen.Newest).DefaultIfEmpty().Max());
        }
    }

    /// <summary>Keeps what was seen by connections that are no more, and not by which of them.</summary>
    /// <param name="connections">Those that there are.</param>
    public void LetGo(IReadOnlySet<string> connections)
    {
        lock (_seen)
        {
            foreach (var (whose, seen) in _seen.ToList())
            {
                if (whose != Nobody && !connections.Contains(whose))
                {
                    var known = _seen.GetValueOrDefault(Nobody);
                    _seen.Remove(whose);
                    _seen[Nobody] = (Math.Max(known.Newest, seen.Newest), Math.Max(known.WatchedAt, seen.WatchedAt));
                }
            }
        }
    }
}
