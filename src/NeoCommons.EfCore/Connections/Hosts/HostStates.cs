using System.Collections.Immutable;

namespace NeoCommons.EfCore;

/// <summary>How the servers of a connection were found at the last look; immutable.</summary>
/// <remarks>
/// How far a standby is behind is told by positions in the log and times of this process: it has what the primary had at an
/// earlier look. A server's clock says nothing, and the time of the last replayed transaction says nothing where there is none.
/// </remarks>
internal sealed class HostStates
{
    /// <summary>So many looks in a row that found nobody of a system make its place free: all servers were replaced.</summary>
    public const int MostLooksWithout = 30;

    private const string Behind = "it is too far behind its primary";
    private const string DoesNotTell = "it does not tell how far it has replayed its primary's log";

    // The primary's positions, the newest last.
    private readonly ImmutableArray<(long At, long Lsn)> _history = [];
    private readonly ImmutableArray<HostState> _hosts;

    /// <summary>Before the first look.</summary>
    public HostStates(int hosts) => _hosts = [.. Enumerable.Repeat(HostState.Unseen, hosts)];

    private HostStates(
        ImmutableArray<HostState> hosts,
        ImmutableArray<(long At, long Lsn)> history,
        string? system,
        long settledAt
    )
    {
        _hosts = hosts;
        _history = history;
        System = system;
        SettledAt = settledAt;
    }

    private long PrimaryAt { get; init; } = long.MinValue;

    // Whether the row's own host has told the system, and how many looks have found nobody of it.
    private bool IsOwnSystem { get; init; }

    private int LooksWithout { get; init; }

    // At which looks a primary has told no position, the newest last; none where one has.
    private ImmutableArray<long> Untold { get; init; } = [];

    // How many looks in a row have had an answer of all, and found nobody at the newest timeline.
    private int LooksBelow { get; init; }

    /// <summary>
    /// Whether all servers have answered for long, and none is at the newest timeline that was seen any more, as after they were put
    /// back to an earlier state.
    /// </summary>
    public bool AreAllBelow => LooksBelow >= MostLooksWithout;

    /// <summary>Whether a newer timeline was forgotten at this look.</summary>
    public bool HasBegunAnew { get; private init; }

    /// <summary>Whether no primary has been found for longer than a standby may lag: nobody waits for what it has any more.</summary>
    public bool IsPrimaryLost { get; private init; }

    public HostState this[int host] => _hosts[host];

    /// <summary>Whether one of them is the primary, and serves.</summary>
    public bool HasPrimary => _hosts.Any(host => host is { Refusal: null, Answer.IsPrimary: true });

    /// <summary>Whether one of them is a standby, and serves.</summary>
    public bool HasStandby => _hosts.Any(host => host is { Refusal: null, Answer.IsPrimary: false });

    /// <summary>What the servers that replicate each other have in common; null where none has told.</summary>
    public string? System { get; }

    /// <summary>Each standby that serves has replayed what was committed before this time.</summary>
    public long SettledAt { get; } = long.MinValue;

    /// <summary>Why a server that says this serves nobody; null where only a look can tell.</summary>
    public string? RefusalOf(HostAnswer answer, long newest) => RefusalOf(answer, System ?? answer.System, newest);

    /// <summary>The states after another look.</summary>
    /// <param name="begun">When the look began.</param>
    /// <param name="answers">What each server said; null where it did not.</param>
    /// <param name="newest">The highest timeline that was ever seen.</param>
    /// <param name="isTooLong">Whether a standby that was level at the first time serves nobody at the second.</param>
    public HostStates After(
        long begun,
        IReadOnlyList<HostAnswer?> answers,
        long newest,
        Func<long, long, bool> isTooLong
    )
    {
        var (system, isOwn, looksWithout) = NextSystem(answers);
        if (System is not null && system != System)
        {
            // Other servers: what was known is of those that were there before.
            return new HostStates(_hosts.Length) { PrimaryAt = PrimaryAt }.After(begun, answers, newest, isTooLong);
        }

        var primaries = answers.Where(a => a is { IsPrimary: true } && RefusalOf(a, system, newest) is null).ToList();
        var written = primaries.Max(a => a!.Lsn);
        ImmutableArray<long> untold =
            written is not null ? []
            : primaries.Count > 0 ? [.. Recent(Untold, at => at, begun, isTooLong), begun]
            : Untold;
        var history =
            written is { } lsn ? [.. Recent(_history, look => look.At, begun, isTooLong), (begun, lsn)]
            : untold.Length > 0 ? []
            : _history;
        var hosts = answers.Select((answer, host) => Judge(_hosts[host], answer)).ToImmutableArray();
        var serving = hosts.Where(h => h is { Answer.IsPrimary: false, Refusal: null }).ToList();

        // Without a primary nothing more is known to have been written.
        var settled =
            primaries.Count == 0 ? SettledAt
            : written is null ? Math.Max(SettledAt, Outdated(untold))
            : serving.Count == 0 ? Math.Max(SettledAt, Outdated(history.Select(look => look.At)))
            : Math.Max(SettledAt, serving.Min(h => h.CaughtUpAt));

        // A pool that is made while there is none counts from its first look.
        var primaryAt = primaries.Count > 0 || PrimaryAt == long.MinValue ? begun : PrimaryAt;
        return new HostStates(hosts, history, system, settled)
        {
            PrimaryAt = primaryAt,
            IsOwnSystem = isOwn,
            LooksWithout = looksWithout,
            LooksBelow = AreBelow(answers, system, newest) ? LooksBelow + 1 : 0,
            Untold = untold,
            IsPrimaryLost = primaries.Count == 0 && isTooLong(primaryAt, begun),
        };

        // Whoever comes to serve has at least this; where no position is told, whoever serves is taken to have it.
        long Outdated(IEnumerable<long> looks) =>
            looks.Where(at => isTooLong(at, begun)).DefaultIfEmpty(long.MinValue).Max();

        HostState Judge(HostState before, HostAnswer? answer)
        {
            if (answer is null)
            {
                return before with { Answer = null, Refusal = "it does not answer" };
            }

            if (answer.IsPrimary || RefusalOf(answer, system, newest) is not null)
            {
                return new HostState(answer, RefusalOf(answer, system, newest), long.MinValue);
            }

            var caughtUp = before.CaughtUpAt;
            foreach (var look in history)
            {
                if (look.Lsn <= answer.Lsn)
                {
                    caughtUp = Math.Max(caughtUp, look.At);
                }
            }

            // One that was away comes back with what it had then: a read of what others have would miss it.
            var isBehind =
                history.Length > 0
                && (caughtUp < SettledAt || caughtUp == long.MinValue || isTooLong(caughtUp, history[^1].At));
            return new HostState(
                answer,
                !isBehind ? null
                    : answer.Lsn is null ? DoesNotTell
                    : Behind,
                caughtUp
            );
        }
    }

    /// <summary>The states after the same look, where a newer timeline is forgotten, and with it what was known of positions.</summary>
    public HostStates Anew(
        long begun,
        IReadOnlyList<HostAnswer?> answers,
        long newest,
        Func<long, long, bool> isTooLong
    )
    {
        var none = new HostStates([.. _hosts.Select(_ => HostState.Unseen)], [], System, long.MinValue)
        {
            PrimaryAt = PrimaryAt,
            IsOwnSystem = IsOwnSystem,
        };
        var after = none.After(begun, answers, newest, isTooLong);
        return new HostStates(after._hosts, after._history, after.System, after.SettledAt)
        {
            PrimaryAt = after.PrimaryAt,
            IsOwnSystem = after.IsOwnSystem,
            Untold = after.Untold,
            HasBegunAnew = true,
        };
    }

    private static string? RefusalOf(HostAnswer answer, string? system, long newest) =>
        answer.System is { } other && other != system ? "it is not a replica of the connection's other hosts"
        : answer.Timeline < newest
            ? (answer.IsPrimary ? "it is a primary that was replaced" : "it follows a primary that was replaced")
                + $": its timeline is {answer.Timeline}, and {newest} was seen"
        : null;

    /// <summary>What the servers have in common after another look.</summary>
    public string? SystemAfter(IReadOnlyList<HostAnswer?> answers) => NextSystem(answers).System;

    // What another host has told counts until the row's own one tells.
    private (string? System, bool IsOwn, int LooksWithout) NextSystem(IReadOnlyList<HostAnswer?> answers)
    {
        var own = answers[0]?.System;
        if (System is null || own is null || own == System)
        {
            return (
                System ?? answers.Select(a => a?.System).FirstOrDefault(s => s is not null),
                IsOwnSystem || own is not null,
                0
            );
        }

        var looksWithout = answers.Any(a => a?.System == System) ? 0 : LooksWithout + 1;
        return !IsOwnSystem || looksWithout >= MostLooksWithout ? (own, true, 0) : (System, true, looksWithout);
    }

    // A standby may not tell its timeline, but which one it has reached: it may be what the primary was replaced by. One that tells
    // neither may follow it.
    private static bool AreBelow(IReadOnlyList<HostAnswer?> answers, string? system, long newest) =>
        answers.Any(a => a is { IsPrimary: true })
        && answers.All(a =>
            a is not null
            && (a.System is null || a.System == system)
            && (a.Timeline is not null || (!a.IsPrimary && a.Reached is not null))
            && Math.Max(a.Timeline ?? 0, a.Reached ?? 0) < newest
        );

    // One more than is needed: a standby that lacks more than that serves nobody anyway.
    private static IEnumerable<T> Recent<T>(
        ImmutableArray<T> looks,
        Func<T, long> at,
        long now,
        Func<long, long, bool> isTooLong
    ) => looks.Where((_, i) => i + 1 == looks.Length || !isTooLong(at(looks[i + 1]), now));
}
