using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Keeps connections to servers that must not serve out of the pools, and those that are in from being used.</summary>
/// <remarks>
/// The driver goes on to the next host when a new physical connection's initializer throws, and leaves this one out until it
/// looks again when that looks like a broken network.
/// </remarks>
/// <param name="source">The pool.</param>
/// <param name="hosts">Its servers.</param>
/// <param name="memory">What the process remembers of them.</param>
/// <param name="found">How they were found before there was this pool; null where they were not looked at.</param>
/// <param name="time">The clock.</param>
internal sealed class HostGuard(
    PooledDataSource source,
    IReadOnlyList<RowHost> hosts,
    HostMemory memory,
    HostStates? found,
    TimeProvider time
)
{
    private readonly Dictionary<HostAddress, RowHost> _byAddress = hosts.ToDictionary(h => h.Address);
    private readonly HostAddress[] _addresses = [.. hosts.Select(h => h.Address)];
    private HostStates _states = found ?? new(hosts.Count);
    private Timeline[] _timelines = [];

    /// <summary>How the servers were found at the last look.</summary>
    public HostStates States => Volatile.Read(ref _states);

    /// <summary>The highest timeline that was seen; 0 where none was.</summary>
    public long Newest
    {
        get
        {
            var newest = 0L;
            foreach (var timeline in Volatile.Read(ref _timelines))
            {
                newest = Math.Max(newest, timeline.Newest);
            }

            return newest;
        }
    }

    /// <summary>Takes over the answers of a look.</summary>
    /// <returns>Whether a server that served before is to serve nobody now.</returns>
    public bool Look(long begun, IReadOnlyList<HostAnswer?> answers, Func<long, long, bool> isTooLong)
    {
        var before = States;
        var system = before.SystemAfter(answers);
        var timelines = TimelinesOf(system);
        foreach (var timeline in timelines)
        {
            timeline.Watch(source.Row.Name, begun);
        }

        if (before.System is null && system is not null && TimelinesOf(null)[0] is { Newest: > 0 } untold)
        {
            // Whose system nobody has told was this one.
            SeeAt(timelines, untold.Newest);
        }

        Volatile.Write(ref _timelines, timelines);
        SeeAll();
        var after = before.After(begun, answers, Newest, isTooLong);
        if (after.AreAllBelow && TryForget(timelines, begun))
        {
            SeeAll();
            after = after.Anew(begun, answers, Newest, isTooLong);
        }

        Volatile.Write(ref _states, after);
        return hosts.Any(h => before[h.Number].Refusal is null && after[h.Number].Refusal is not null);

        void SeeAll()
        {
            foreach (var (host, answer) in hosts.Zip(answers).OrderBy(seen => seen.Second is { IsPrimary: true }))
            {
                See(host, answer, system, isTold: answers.Any(a => a?.System is not null));
            }
        }
    }

    /// <summary>For <c>UsePhysicalConnectionInitializer</c>.</summary>
    public void Admit(NpgsqlConnection opened) =>
        // Not async: the task has completed, and its exception is rethrown.
        AdmitAsync(opened, async: false).AsTask().GetAwaiter().GetResult();

    /// <inheritdoc cref="Admit"/>
    public Task AdmitAsync(NpgsqlConnection opened) => AdmitAsync(opened, async: true).AsTask();

    /// <summary>Why a connection that was opened before is not to be used now; null where it may.</summary>
    public string? RefusalOf(PhysicalConnection physical)
    {
        if (physical.Session is not { } session)
        {
            return null;
        }

        if (session.System is { } system && States.System is { } ours && system != ours)
        {
            return $"{session.Host.Address}: it is not a replica of the connection's other hosts";
        }

        if (session.IsPrimary)
        {
            return session.Timeline < Newest && session.Timeline > 0
                ? $"{session.Host.Address}: it is a primary that was replaced"
                : null;
        }

        return States[session.Host.Number].Refusal is { } refusal ? $"{session.Host.Address}: {refusal}" : null;
    }

    /// <summary>Whether a connection to a primary that was replaced is of before; not, where it has come back as what it is now.</summary>
    public bool IsOutdated(PhysicalConnection physical) =>
        physical.Session is not { } session
        || session.Timeline < Newest
        || (session.System is { } system && States.System is { } ours && system != ours);

    private async ValueTask AdmitAsync(NpgsqlConnection opened, bool async)
    {
        // The server has taken the password: the next one need not wait until it has answered.
        source.Passwords.Accepted(opened);
        if (!_byAddress.TryGetValue(new HostAddress(opened.Host!, opened.Port), out var host))
        {
            return;
        }

        var answer = await HostQuestion
            .AskAsync(opened, host, time, async, CancellationToken.None, isNew: true)
            .ConfigureAwait(false);
        var states = States;
        See(host, answer, states.System, isTold: hosts.Any(h => states[h.Number].Answer?.System is not null));
        if (Judge(answer, states, states[host.Number]) is { } refusal)
        {
            throw Refused($"{host.Address}: {refusal}");
        }

        host.HeardAt = time.GetTimestamp();
        var physical = PhysicalConnection.Of(opened);
        physical.Begin(source, opened, time);
        physical.Session = new HostSession(host, answer.IsPrimary, answer.Timeline ?? 0, answer.System);
        if (RefusalOf(physical) is { } late)
        {
            // A look has found out since: it has not seen this session among those that it has ended.
            throw Refused(late);
        }
    }

    // What the driver takes for a broken network.
    private static NpgsqlException Refused(string why) => new(why, new IOException(why));

    private string? Judge(HostAnswer answer, HostStates states, HostState state) =>
        states.RefusalOf(answer, Newest)
        ?? (
            answer.IsPrimary ? null
            : state.Answer is { IsPrimary: true } ? "it has just become a standby"
            : state.Refusal
        );

    // Where nobody tells the system any more, they are of the one that was told; while others do, one that does not may be another.
    private void See(RowHost host, HostAnswer? answer, string? system, bool isTold)
    {
        if (
            answer is { IsPrimary: true, Timeline: { } timeline }
            && (answer.System == system || (answer.System is null && !isTold))
        )
        {
            // For all hosts of the row: another row that names the one that was replaced, and not this one, is to know.
            SeeAt(TimelinesOf(system), timeline);
        }
        else if (answer is { IsPrimary: false, System: { } its } && its == system)
        {
            // It follows somebody, and what it was before counts for nobody: it may have been built anew.
            memory.TimelineAt(host.Address, system).Forget();
        }
    }

    private void SeeAt(Timeline[] timelines, long timeline)
    {
        foreach (var seen in timelines)
        {
            seen.See(source.Row.Name, timeline, time.GetTimestamp());
        }
    }

    // What another connection has seen counts as long as its hosts are looked at: it may know of one that this row does not name.
    private bool TryForget(Timeline[] timelines, long now)
    {
        var before = Newest;
        foreach (var timeline in timelines.Concat(TimelinesOf(null)))
        {
            timeline.Forget(
                source.Row.Name,
                at => time.GetElapsedTime(at, now) > HostStates.MostLooksWithout * HostWatch.Interval
            );
        }

        return Newest < before;
    }

    private Timeline[] TimelinesOf(string? system) => memory.TimelinesOf(source.Row.Name, _addresses, system);
}
