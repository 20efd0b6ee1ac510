namespace NeoCommons.EfCore;

/// <summary>The timelines of one host, or as one connection knows them, for each system that was found there.</summary>
/// <remarks>A host whose server is made anew, again and again, is remembered with the last ones only.</remarks>
internal sealed class SystemTimelines
{
    /// <summary>So many; what was asked for longest ago goes first.</summary>
    public const int Most = 64;

    // The one that was asked for last is last.
    private readonly List<(string System, Timeline Timeline)> _all = [];

    /// <summary>How many there are.</summary>
    public int Count
    {
        get
        {
            lock (_all)
            {
                return _all.Count;
            }
        }
    }

    /// <summary>That of a system; one that has seen nothing where it is not known.</summary>
    public Timeline Of(string system)
    {
        lock (_all)
        {
            var at = _all.FindLastIndex(known => known.System == system);
            var found = at < 0 ? (system, new Timeline()) : _all[at];
            if (at >= 0 || _all.Count == Most)
            {
                _all.RemoveAt(Math.Max(0, at));
            }

            _all.Add(found);
            return found.Item2;
        }
    }

    /// <inheritdoc cref="Timeline.LetGo"/>
    public void LetGo(IReadOnlySet<string> connections)
    {
        lock (_all)
        {
            foreach (var (_, timeline) in _all)
            {
                timeline.LetGo(connections);
            }
        }
    }
}
