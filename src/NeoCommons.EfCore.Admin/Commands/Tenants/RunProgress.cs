using System.Diagnostics;

namespace NeoCommons.EfCore.Admin;

/// <summary>Shows how a run goes on: a line that is drawn anew on a terminal, a line every few seconds elsewhere.</summary>
internal sealed class RunProgress(CommandRun run) : IProgress<MigrationProgress>
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly long _started = Stopwatch.GetTimestamp();
    private TimeSpan _said;
    private int? _before;
    private int _width;

    public void Report(MigrationProgress value)
    {
        if (value.Run.Id is null)
        {
            return;
        }

        lock (_lock)
        {
            if (value.Tenant is { Status: TenantMigrationStatus.Failed, Error: { } e } failed)
            {
                Clear();
                run.Say(CommandOutput.OneLine($"{failed.Slug}: {FailureText.Of(e)}"));
            }

            var elapsed = Stopwatch.GetElapsedTime(_started);
            _before ??= value.Run.Done + value.Run.Failed;
            var line = RunReport.Line(value.Run, elapsed, _before.Value);
            if (run.DrawsLine)
            {
                Clear();
                run.SayOnLine(line);
                _width = line.Length;
            }
            else if (elapsed - _said >= Interval)
            {
                _said = elapsed;
                run.Say(line);
            }
        }
    }

    /// <summary>Takes the line away.</summary>
    public void End()
    {
        lock (_lock)
        {
            Clear();
        }
    }

    private void Clear()
    {
        if (_width > 0)
        {
            run.SayOnLine("\r" + new string(' ', _width) + "\r");
            _width = 0;
        }
    }
}
