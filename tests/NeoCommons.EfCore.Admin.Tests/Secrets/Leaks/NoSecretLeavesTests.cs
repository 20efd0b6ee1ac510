using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

/// <summary>
/// All that the library can do is done with passwords and keys that are looked for afterwards, in all that it has told: logs at
/// trace level, traces, metrics, diagnostic events, exceptions, health, command output, texts of objects.
/// </summary>
[Collection(Alone)]
public sealed class NoSecretLeavesTests(TestServers servers)
{
    /// <summary>The recorder hears the whole process: no other test runs meanwhile.</summary>
    public const string Alone = "no secret leaves";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task No_password_and_no_key_is_in_anything_that_the_library_tells(bool tellsAll)
    {
        await using var app = await CanaryApp.StartAsync(servers.Postgres, tellsAll);

        await new EverythingOnce(app, app.Recorder).RunAsync();

        var told = app.Recorder.Read();
        AssertHeard(told);
        List<Canary> canaries = [app.Password, app.WrongPassword, app.Key, app.OldKey, app.OtherKey];
        if (!tellsAll)
        {
            // Parameters are tokens, and whoever asks to see parameters sees those.
            canaries.AddRange(await app.TokensAsync());
        }

        Assert.True(!Find(canaries, told).Any(), string.Join('\n', Find(canaries, told).Take(20)));
    }

    /// <remarks>The proof that the test above can fail: each form of each secret, through each way out.</remarks>
    [Fact]
    public async Task The_search_finds_a_canary_in_every_form_and_wherever_it_is_planted()
    {
        await using var app = await CanaryApp.StartAsync(servers.Postgres, tellsAll: false);
        List<Canary> canaries = [app.Password, app.Key, .. await app.TokensAsync()];
        Assert.Empty(Find(canaries, app.Recorder.Read()));

        foreach (var canary in canaries)
        {
            foreach (var (form, text) in canary.Forms)
            {
                Assert.Contains(
                    Find([canary], [("planted", $"before {text} after")]),
                    found => found.Contains(form, StringComparison.Ordinal)
                );
            }
        }

        var ways = Plant(app, app.Password.Text);
        var found = Find([app.Password], app.Recorder.Read()).ToList();
        Assert.All(ways, way => Assert.Contains(found, f => f.Contains(way, StringComparison.Ordinal)));
        Assert.Contains(
            app.Password.Text,
            DebuggerView.Of(new { Shown = new { Deeper = app.Password.Text } }),
            StringComparison.Ordinal
        );
    }

    /// <summary>Lets a text out by every way that is listened to, and marks each.</summary>
    private static List<string> Plant(CanaryApp app, string text)
    {
        var log = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("planted");
        log.LogTrace("by-message {Value}", text);
        log.Log(
            LogLevel.Trace,
            0,
            new[] { KeyValuePair.Create<string, object?>("by-named-value", text) },
            null,
            (_, _) => "nothing"
        );
        log.LogTrace(new InvalidOperationException("by-logged-exception", new InvalidOperationException(text)), "x");
        using (log.BeginScope("by-scope {Value}", text)) { }

        using var source = new ActivitySource("planted");
        using (var activity = source.StartActivity("by-trace"))
        {
            activity!.SetTag("tag", text);
        }

        using (var activity = source.StartActivity("by-trace-event"))
        {
            activity!.AddEvent(new ActivityEvent("event", tags: new() { ["tag"] = text }));
        }

        using var meter = new Meter("planted");
        meter.CreateCounter<int>("by-metric").Add(1, KeyValuePair.Create<string, object?>("tag", text));
        using var diagnostics = new DiagnosticListener("planted");
        diagnostics.Write("by-diagnostic-event", text);
        foreach (
            var thrown in new[]
            {
                (Exception)new InvalidOperationException("by-inner-exception", new InvalidOperationException(text)),
                new InvalidOperationException("by-data") { Data = { ["key"] = text } },
                new SecretDecryptionException("by-property", text),
            }
        )
        {
            try
            {
                throw thrown;
            }
            catch (Exception e) when (e == thrown)
            {
                // Nobody hears of it, but for the recorder.
            }
        }

        return
        [
            "by-message",
            "by-named-value",
            "by-logged-exception",
            "by-scope",
            "by-trace",
            "by-trace-event",
            "by-metric",
            "by-diagnostic-event",
            "by-inner-exception",
            "by-data",
            "by-property",
        ];
    }

    /// <summary>Which form of which canary is where, with what is around it.</summary>
    private static IEnumerable<string> Find(
        IEnumerable<Canary> canaries,
        IEnumerable<(string Where, string Text)> told
    ) =>
        from text in told
        from canary in canaries
        from form in canary.FindIn(text.Text)
        select $"{canary.Name} ({form}) in {text.Where}: {text.Text[..Math.Min(text.Text.Length, 400)]}";

    /// <summary>A silent recorder finds nothing, too.</summary>
    private static void AssertHeard(IReadOnlyList<(string Where, string Text)> told)
    {
        Assert.InRange(told.Count, 2_000, int.MaxValue);
        foreach (
            var (where, part) in new[]
            {
                (LeakRecorder.Logs, "NeoCommons.EfCore"),
                (LeakRecorder.Logs, "Microsoft.EntityFrameworkCore.Database.Command"),
                (LeakRecorder.Logs, "Npgsql.Connection"),
                (LeakRecorder.Logs, "Npgsql.Command"),
                (LeakRecorder.Logs, " Trace "),
                (LeakRecorder.Traces, "Npgsql"),
                (LeakRecorder.Metrics, "db.client"),
                (LeakRecorder.Events, "Microsoft.EntityFrameworkCore"),
                (LeakRecorder.Exceptions, "28P01"),
                (LeakRecorder.Exceptions, nameof(SecretDecryptionException)),
                (LeakRecorder.Exceptions, nameof(ConnectionUnavailableException)),
                ("health", "secret is for another database"),
                ("command connections test", "db1"),
                ("connection string", "Host="),
            }
        )
        {
            Assert.Contains(told, t => t.Where == where && t.Text.Contains(part, StringComparison.Ordinal));
        }
    }

    [CollectionDefinition(Alone, DisableParallelization = true)]
    public sealed class AloneCollection;
}
