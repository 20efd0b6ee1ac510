using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using NeoCommons.EfCore.Tests.Connections;
using NeoCommons.EfCore.Tests.Hosts;

namespace NeoCommons.EfCore.Tests.Resilience;

/// <summary>
/// A process whose clock is set while it works (T26): its driver too, which leaves a host out until a time by that clock. The
/// process is a real one, and libfaketime is its clock.
/// </summary>
public sealed class ProcessClockTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("+1h", "-1h")]
    [InlineData("+3652d", "-3652d")]
    public async Task A_clock_that_is_set_loses_no_host_and_no_tenant(string ahead, string back)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libfaketime is loaded as Linux does it.");
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp();
        var row = await pair.AddAsync(app);
        await app.DirectAsync(
            row,
            "CREATE SCHEMA tenant_writer; CREATE SCHEMA tenant_reader; CREATE TABLE tenant_writer.counter (\"Id\" int GENERATED ALWAYS AS IDENTITY)"
        );
        await pair.CatchUpAsync();
        await using var process = new ClockedProcess(
            $"Host={row.Host};Port={row.Port};Database={row.Database};Username={row.Username};Password={pair.Primary.Password}",
            row.ReplicaHosts.ToString()
        );
        await process.SucceedsAsync();
        var cold = process.Lines.Count;

        // The driver counts the time of an open by that clock: the one that is under way may fail, and no other.
        string[] offsets = [ahead, back, "+0"];
        foreach (var offset in offsets)
        {
            process.Set(offset);
            await process.SucceedsAsync();
        }

        Assert.InRange(
            process
                .Lines.Skip(cold)
                .Count(line => line.Write != "written" || line.Read is not ("standby" or "primary")),
            0,
            offsets.Length
        );

        // The driver notes until when it leaves the lost host out, and then the clock is put back far behind that.
        process.Set(ahead);
        await process.SucceedsAsync();
        await pair.Standby.StopAsync(immediate: true, Ct);
        await Pair.KillAsync(pair.Primary, row.Database);
        await process.SucceedsAsync(read: "primary");
        process.Set(back);
        await pair.Standby.StartAgainAsync(Ct);
        await process.SucceedsAsync();

        // And a primary that ends its sessions serves at once.
        await Pair.KillAsync(pair.Primary, row.Database);
        var recovery = Stopwatch.StartNew();
        await process.SucceedsAsync();
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"Ten more of each were done {recovery.Elapsed} after the kill."
        );

        // Every row that was acknowledged is there, and the one that it was killed with, maybe.
        await process.StopAsync();
        Assert.InRange(
            (long)(await Pair.ScalarAsync(pair.Primary, row.Database, "SELECT count(*) FROM tenant_writer.counter"))!,
            process.Lines.Count(line => line.Write == "written"),
            process.Lines.Count + 1
        );
    }

    private sealed record Line(DateTime Clock, string Write, string Read);

    /// <summary>A process whose clock a file sets.</summary>
    private sealed class ClockedProcess : IAsyncDisposable
    {
        // tests/NeoCommons.EfCore.Tests/bin/Release/net10.0/
        private static readonly string Runner = Path.GetFullPath(
            Path.Combine(
                AppContext.BaseDirectory,
                "../../../../ClockRunner",
                Path.GetRelativePath(Path.Combine(AppContext.BaseDirectory, "../../.."), AppContext.BaseDirectory),
                "ClockRunner.dll"
            )
        );

        private readonly string _clock = Path.GetTempFileName();
        private readonly ConcurrentQueue<Line> _lines = [];
        private readonly ConcurrentQueue<string> _errors = [];
        private readonly Process _process;
        private readonly Task _reading;
        private TimeSpan _offset;

        public ClockedProcess(params string[] arguments)
        {
            File.WriteAllText(_clock, "+0");
            _process = Process.Start(
                new ProcessStartInfo("dotnet", [Runner, .. arguments])
                {
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                    Environment =
                    {
                        ["LD_PRELOAD"] = FindLibrary(),
                        ["FAKETIME_TIMESTAMP_FILE"] = _clock,
                        ["FAKETIME_NO_CACHE"] = "1",

                        // Who sets a machine's clock does not set the one that counts since its start.
                        ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
                    },
                }
            )!;
            _process.ErrorDataReceived += (_, e) => _errors.Enqueue(e.Data ?? "");
            _process.BeginErrorReadLine();
            _reading = ReadAsync();
        }

        public IReadOnlyCollection<Line> Lines => _lines;

        public void Set(string offset)
        {
            _offset =
                offset.EndsWith('d') ? TimeSpan.FromDays(Number(offset[..^1]))
                : offset.EndsWith('h') ? TimeSpan.FromHours(Number(offset[..^1]))
                : TimeSpan.Zero;

            // At once: it reads the file whenever it is asked for the time.
            File.WriteAllText(_clock + ".next", offset);
            File.Move(_clock + ".next", _clock, overwrite: true);

            static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
        }

        /// <summary>Waits until ten more writes and reads in a row have been done, by the clock as it was set.</summary>
        public async Task SucceedsAsync(string read = "standby")
        {
            var before = _lines.Count;
            bool HasSucceeded() =>
                _lines
                    .Skip(before)
                    .Reverse()
                    .Take(10)
                    .Count(line => line is { Write: "written" } && line.Read == read && IsNow(line.Clock)) == 10;

            try
            {
                await Eventually.TrueAsync(() => _process.HasExited || HasSucceeded());
            }
            finally
            {
                if (_process.HasExited || !HasSucceeded())
                {
                    TestContext.Current.TestOutputHelper?.WriteLine(
                        string.Join('\n', [.. _lines.TakeLast(20), .. _errors])
                    );
                }
            }

            Assert.False(_process.HasExited);
        }

        public async Task StopAsync()
        {
            _process.Kill();
            await _process.WaitForExitAsync(Ct);
            await _reading;
        }

        public async ValueTask DisposeAsync()
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
            _process.Dispose();
            File.Delete(_clock);
        }

        private bool IsNow(DateTime clock) => (clock - DateTime.UtcNow - _offset).Duration() < TimeSpan.FromMinutes(20);

        private async Task ReadAsync()
        {
            while (await _process.StandardOutput.ReadLineAsync(CancellationToken.None) is { } text)
            {
                var parts = text.Split(' ');
                _lines.Enqueue(
                    new Line(
                        DateTime.Parse(parts[0], CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal),
                        parts[1],
                        parts[2]
                    )
                );
            }
        }

        private static string FindLibrary() =>
            Directory
                .EnumerateDirectories("/usr/lib")
                .Append("/usr/lib")
                .Append("/usr/lib64")
                .Select(folder => Path.Combine(folder, "faketime", "libfaketime.so.1"))
                .FirstOrDefault(File.Exists)
            ?? throw new InvalidOperationException(
                "libfaketime is not installed: eng/setup.sh faketime, which ./test.sh calls, installs it."
            );
    }
}
