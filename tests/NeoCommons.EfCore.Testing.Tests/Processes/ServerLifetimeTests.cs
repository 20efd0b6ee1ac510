namespace NeoCommons.EfCore.Testing.Tests;

public class ServerLifetimeTests
{
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_server_dies_with_a_killed_parent_and_the_next_start_deletes_its_data()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux ties a child to its parent.");
        using var orphan = await Orphan.StartAsync(_ct);
        var serverId = (int)(await Sql.ScalarAsync(orphan.ConnectionString, "SELECT pg_backend_pid()"))!;
        var postmasterId = int.Parse(File.ReadLines(Path.Combine(orphan.DataDirectory, "postmaster.pid")).First());
        Assert.NotEqual(serverId, postmasterId);

        await orphan.KillAsync(_ct);

        await UntilGoneAsync(postmasterId);
        Assert.True(Directory.Exists(orphan.DataDirectory));
        var options = new PostgresServerOptions { Source = ServerSource.Binaries };
        await using var next = await PostgresServer.StartAsync(options, _ct);
        Assert.False(Directory.Exists(Path.GetDirectoryName(orphan.DataDirectory)));
    }

    [Fact]
    public async Task A_process_that_ends_without_disposing_leaves_nothing_behind()
    {
        using var orphan = await Orphan.StartAsync(_ct);
        var postmasterId = int.Parse(File.ReadLines(Path.Combine(orphan.DataDirectory, "postmaster.pid")).First());

        await orphan.EndAsync(_ct);

        await UntilGoneAsync(postmasterId);
        Assert.False(Directory.Exists(Path.GetDirectoryName(orphan.DataDirectory)));
    }

    private async Task UntilGoneAsync(int processId)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_ct);
        timeout.CancelAfter(TimeSpan.FromSeconds(60));
        try
        {
            // Whoever inherited it may not have fetched its exit code yet.
            while (File.ReadAllText($"/proc/{processId}/stat").Split(") ")[1][0] != 'Z')
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, timeout.Token);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Gone.
        }
    }
}
