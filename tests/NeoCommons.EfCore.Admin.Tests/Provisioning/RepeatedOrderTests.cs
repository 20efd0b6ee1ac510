using NeoCommons.EfCore.Testing;
using Npgsql;

namespace NeoCommons.EfCore.Admin.Tests.Provisioning;

/// <summary>Who has lost an answer asks again.</summary>
public sealed class RepeatedOrderTests(TestServers servers)
{
    private static readonly NewTenant Acme = new()
    {
        Slug = "acme",
        Name = "Acme",
        ConnectionName = "home",
        TenantType = "clinic",
        Id = TenantId.New(),
    };

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_same_order_again_gets_the_tenant_that_it_made(bool inAdminDatabase)
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase);
        var made = await app.Provisioner.CreateAsync(Acme, Ct);

        Assert.Equal(made, await app.Provisioner.CreateAsync(Acme, Ct));
        Assert.Equal(made, await app.Provisioner.CreateAsync(Acme with { ConnectionName = null }, Ct));

        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenant_events"));
    }

    [Fact]
    public async Task An_order_that_differs_gets_no_tenant()
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        await TestApp.RegisterAsync(
            app.Services,
            servers.Postgres,
            "elsewhere",
            await servers.Postgres.CreateDatabaseAsync(ct: Ct)
        );
        await app.ReloadAsync();
        await app.Provisioner.CreateAsync(Acme, Ct);

        foreach (
            var other in new[]
            {
                Acme with
                {
                    Id = TenantId.New(),
                },
                Acme with
                {
                    Id = null,
                },
                Acme with
                {
                    Slug = "globex",
                },
                Acme with
                {
                    TenantType = null,
                },
                Acme with
                {
                    ConnectionName = "elsewhere",
                },
            }
        )
        {
            await Assert.ThrowsAsync<TenantConflictException>(() => app.Provisioner.CreateAsync(other, Ct));
        }

        await app.Provisioner.SuspendAsync(Acme.Id!.Value, ct: Ct);
        await Assert.ThrowsAsync<TenantConflictException>(() => app.Provisioner.CreateAsync(Acme, Ct));
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_id_that_is_used_again_after_a_deletion_has_a_life_of_its_own(bool inAdminDatabase)
    {
        await using var app = await Homes.StartAsync(servers, inAdminDatabase);
        var acme = await app.Provisioner.CreateAsync(Acme, Ct);
        await app.Provisioner.SuspendAsync(acme.Id, ct: Ct);
        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        await app.Provisioner.DeleteAsync(acme.Id, new() { ConfirmSlug = "acme" }, Ct);

        // By hand, so that its archive was not noted: how the tenant of before stood says nothing.
        var second = await app.Provisioner.CreateAsync(Acme, Ct);
        await app.AdminAsync("UPDATE admin.tenants SET status = 'archived'");
        await app.ReloadAsync();
        Assert.Equal(TenantStatus.Active, (await app.Provisioner.RestoreAsync(acme.Id, Ct)).Status);

        await app.Provisioner.ArchiveAsync(acme.Id, TimeSpan.Zero, ct: Ct);
        var restored = await app.Provisioner.RestoreAsync(acme.Id, Ct);

        Assert.Equal((second.Schema, TenantStatus.Active), (restored.Schema, restored.Status));
        await (await app.Shop.CreateDbContextAsync(acme.Id, Ct)).DisposeAsync();
    }

    [Fact]
    public async Task A_commit_that_is_still_under_way_when_its_answer_is_lost_is_waited_for()
    {
        await using var proxy = TcpFaultProxy.Start(servers.Postgres.Host, servers.Postgres.Port);
        await using var app = await Homes.StartAsync(servers, inAdminDatabase: false);
        await app.AdminAsync($"UPDATE admin.database_connections SET host = '{proxy.Host}', port = {proxy.Port}");
        await app.ReloadAsync();
        var database = (string)(await app.AdminAsync("SELECT database_name FROM admin.database_connections"))!;
        await app.DirectAsync(
            "home",
            """
            CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END $$;
            CREATE FUNCTION public.arm() RETURNS event_trigger LANGUAGE plpgsql AS $$
            DECLARE t regclass;
            BEGIN
                FOR t IN SELECT objid FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%__EFMigrationsHistory%' AND object_type = 'table' LOOP
                    EXECUTE format('CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.hold()', t);
                END LOOP;
            END $$;
            CREATE EVENT TRIGGER hold ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.arm()
            """
        );
        await using var holder = new NpgsqlConnection(
            servers.Postgres.GetConnectionString(database) + ";Pooling=false"
        );
        await holder.OpenAsync(Ct);
        await using (var hold = new NpgsqlCommand("SELECT pg_advisory_lock(77)", holder))
        {
            await hold.ExecuteNonQueryAsync(Ct);
        }

        var creation = Task.Run(() => app.CreateTenantAsync("acme", "home"), Ct);
        await UntilAsync("wait_event = 'advisory'");
        proxy.Cut();
        await UntilAsync("query LIKE '%pg_try_advisory_xact_lock%'", orEnded: true);
        await holder.CloseAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => creation);

        // The server finished what it was at, and the row says that there is something to be finished.
        await app.DirectAsync("home", "DROP EVENT TRIGGER hold");
        Assert.Equal("provisioning", await app.AdminAsync("SELECT status FROM admin.tenants"));
        Assert.Equal(TenantStatus.Active, (await app.CreateTenantAsync("acme", "home")).Status);
        Assert.Equal(1L, await app.AdminAsync("SELECT count(*) FROM admin.tenants"));

        async Task UntilAsync(string condition, bool orEnded = false)
        {
            var sql =
                $"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND {condition}";
            while ((long)(await app.DirectAsync("home", sql))! == 0 && !(orEnded && creation.IsCompleted))
            {
                await Task.Delay(20, Ct);
            }
        }
    }
}
