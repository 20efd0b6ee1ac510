using Microsoft.Extensions.DependencyInjection;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Hosts;

/// <summary>What is remembered of hosts is as much as there are rows, and nothing is forgotten that a row needs.</summary>
public sealed class HostMemoryTests
{
    private const string System = "system";

    private readonly HostMemory _memory = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public void What_only_rows_that_are_gone_have_named_is_forgotten()
    {
        foreach (var number in Enumerable.Range(1, 100))
        {
            See(Row($"db{number}", $"10.0.0.{number}"), 1);
            _memory.WritesOf($"db{number}");
        }

        Assert.Equal((100, 200), _memory.Count);

        _memory.Keep([Row("db7", "10.0.0.7")]);

        Assert.Equal((1, 2), _memory.Count);
        Assert.Equal(1, NewestOf(Row("db7", "10.0.0.7")));
        Assert.Equal(0, NewestOf(Row("db8", "10.0.0.8")));
        Assert.False(_memory.Knows("db9"));
    }

    [Fact]
    public void What_a_connection_that_is_gone_has_seen_at_a_host_counts_for_those_that_name_it_still()
    {
        // The old primary is the own host of both, and the new one was named by the row that is gone.
        See(Row("gone", "10.0.0.1", "10.0.0.2"), 2);
        var other = Row("other", "10.0.0.1", "10.0.0.3");
        See(other, 1);

        _memory.Keep([other]);
        _memory.Keep([other]);

        Assert.Equal(2, NewestOf(other));
        Assert.Equal((1, 2), _memory.Count);
    }

    [Fact]
    public void What_a_connection_has_seen_counts_when_its_row_has_come_to_name_other_hosts()
    {
        See(Row("db1", "10.0.0.1", "10.0.0.2"), 2);
        var changed = Row("db1", "10.0.0.3", "10.0.0.4");

        _memory.Keep([changed]);

        Assert.Equal(2, NewestOf(changed));
    }

    [Fact]
    public void A_row_that_cannot_be_used_keeps_what_is_known_of_its_hosts()
    {
        See(Row("db1", "10.0.0.1", "10.0.0.2"), 2);

        _memory.Keep([Row("db1", "10.0.0.1", "10.0.0.2", "a:b:c:70000", "10.0.0.9:x")]);

        Assert.Equal((1, 2), _memory.Count);
        Assert.Equal(2, NewestOf(Row("other", "10.0.0.2")));
    }

    [Fact]
    public void A_host_that_comes_to_be_another_system_again_and_again_is_remembered_with_the_last_ones()
    {
        var host = new HostAddress("10.0.0.1", 5432);
        var timelines = new SystemTimelines();
        timelines.Of("first").See("db1", 7, 1);
        foreach (var system in Enumerable.Range(0, 1_000))
        {
            timelines.Of($"{system}");
            if (system < 900)
            {
                Assert.Equal(7, timelines.Of("first").Newest);
            }
        }

        Assert.Equal(SystemTimelines.Most, timelines.Count);
        Assert.Equal(0, timelines.Of("first").Newest);
        Assert.Same(_memory.TimelineAt(host, null), _memory.TimelineAt(host, null));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_row_that_goes_away_takes_along_what_was_remembered_of_its_hosts_and_another_row_of_them_keeps_it(
        bool inUse
    )
    {
        await using var pair = await Pair.StartAsync();
        await using var app = pair.NewApp(
            new Dictionary<string, string?> { ["NeoCommons:Connections:DrainTimeout"] = "00:00:01" }
        );
        var memory = app.Services.GetRequiredService<TenantDataSources>().Hosts;
        var row = await pair.AddAsync(app);
        var other = await pair.AddAsync(app);
        await using (await app.Connections.OpenConnectionAsync(row.Name, Ct)) { }
        await using (await app.Connections.OpenConnectionAsync(other.Name, Ct)) { }
        await Eventually.EqualAsync((2, 2), () => Task.FromResult(memory.Count));
        var system = (await app.AcquireAsync(row.Name)).Hosts!.Guard.States.System;
        var known = memory.TimelineAt(HostAddress.AllOf(row)[0], system);
        Assert.True(known.Newest > 0);

        await LeaveAsync(row);
        await Eventually.EqualAsync((1, 2), () => Task.FromResult(memory.Count));
        Assert.Same(known, memory.TimelineAt(HostAddress.AllOf(row)[0], system));
        Assert.True(known.Newest > 0);

        await LeaveAsync(other);
        await Eventually.EqualAsync((0, 0), () => Task.FromResult(memory.Count));

        async Task LeaveAsync(DatabaseConnection gone)
        {
            if (!inUse)
            {
                await app.Connections.CloseAsync(gone.Name);
            }

            app.Registry.Remove(gone.Name);
            app.Registry.Tell(gone.Name);
        }
    }

    private static DatabaseConnection Row(string name, string host, params string[] replicas) =>
        new()
        {
            Name = name,
            Host = host,
            Port = 5432,
            Database = "db",
            Username = "user",
            Password = Secret.FromText("secret"),
            ReplicaHosts = ReplicaHosts.Parse(string.Join(',', replicas.DefaultIfEmpty(host + ":1"))),
        };

    private void See(DatabaseConnection row, long timeline)
    {
        foreach (var known in TimelinesOf(row))
        {
            known.See(row.Name, timeline, 1);
        }
    }

    private long NewestOf(DatabaseConnection row) => TimelinesOf(row).Max(known => known.Newest);

    private Timeline[] TimelinesOf(DatabaseConnection row) =>
        _memory.TimelinesOf(row.Name, HostAddress.AllOf(row), System);
}
