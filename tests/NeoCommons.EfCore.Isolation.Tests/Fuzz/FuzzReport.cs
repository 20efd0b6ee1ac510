using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>What a run has seen. Nothing wrong is ever dropped from it; safe for concurrent use.</summary>
internal sealed class FuzzReport(int seed)
{
    private const int Samples = 8;

    private readonly ConcurrentDictionary<string, long> _succeeded = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _faults = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Unexplained> _unexpected = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _samples = new();
    private long _operations;
    private long _cancelled;
    private long _wrong;
    private long _rowsRead;
    private long _kills;

    public int Seed => seed;

    /// <summary>Operations that were begun: those that a fault ended are among them.</summary>
    public long Operations => Interlocked.Read(ref _operations);

    public long Cancelled => Interlocked.Read(ref _cancelled);

    public long Kills => Interlocked.Read(ref _kills);

    public long RowsRead => Interlocked.Read(ref _rowsRead);

    /// <summary>Reads that showed another's row or none at all, and writes that did not arrive.</summary>
    public long Wrong => Interlocked.Read(ref _wrong);

    /// <summary>What the sweep found when all was over.</summary>
    public long WrongRows { get; set; }

    public IReadOnlyDictionary<string, long> Succeeded => _succeeded;

    public IReadOnlyDictionary<string, Unexplained> Unexpected => _unexpected;

    public void Begin() => Interlocked.Increment(ref _operations);

    public void Success(string operation) => _succeeded.AddOrUpdate(operation, 1, (_, n) => n + 1);

    public void Read(int rows) => Interlocked.Add(ref _rowsRead, rows);

    public void Kill() => Interlocked.Increment(ref _kills);

    /// <summary>Counts a fault.</summary>
    /// <param name="operation">What it has ended.</param>
    /// <param name="e">The fault.</param>
    /// <param name="history">What the context has done, this operation last: the cause may lie in an earlier one.</param>
    public void Fault(string operation, Exception e, IReadOnlyList<string> history)
    {
        if (ExpectedFaults.Name(e) is not { } name)
        {
            _unexpected.AddOrUpdate(
                $"{operation}: {e.GetType().Name}: {e.Message}",
                _ => new Unexplained(1, e, [.. history]),
                (_, seen) => seen with { Count = seen.Count + 1 }
            );
            return;
        }

        if (name == ExpectedFaults.Cancellation)
        {
            Interlocked.Increment(ref _cancelled);
        }

        _faults.AddOrUpdate(name, 1, (_, n) => n + 1);
    }

    public void Mistake(string operation, string tenant, string what)
    {
        if (Interlocked.Increment(ref _wrong) <= Samples)
        {
            _samples.Enqueue($"{operation} of {tenant}: {what}");
        }
    }

    public override string ToString()
    {
        var text = new StringBuilder().AppendLine(
            CultureInfo.InvariantCulture,
            $"seed {seed} (NEO_FUZZ_SEED={seed} draws the same again): {Operations} operations, {RowsRead} rows read, {Wrong} wrong, {WrongRows} wrong rows at the end, {Kills} backends killed"
        );
        foreach (var sample in _samples)
        {
            text.Append("  WRONG ").AppendLine(sample);
        }

        foreach (var (what, (count, first, history)) in _unexpected)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  UNEXPECTED {count} x {what}")
                .AppendLine("    the first one's context:")
                .AppendJoin("", history.Select(step => $"      {step}{Environment.NewLine}"))
                .Append("    ")
                .AppendLine(first.ToString());
        }

        foreach (var (kind, counts) in new[] { ("succeeded", _succeeded), ("ended by", _faults) })
        {
            text.AppendLine(
                $"  {kind}: {string.Join(", ", counts.OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => $"{c.Key} {c.Value}"))}"
            );
        }

        return text.ToString();
    }

    /// <summary>An exception that nobody should see.</summary>
    internal sealed record Unexplained(long Count, Exception First, IReadOnlyList<string> History);
}
