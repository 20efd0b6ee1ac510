using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore.Tests.Connections;

namespace NeoCommons.EfCore.Tests.Contexts;

/// <summary>A tenant's items, some of which cannot be saved at once.</summary>
internal static class FailingItems
{
    public const int Fails = 3;
    public const int Sleeps = 4;
    public const int EndsAtCommit = 5;

    public static async Task ExecuteAsync(DbContext context, bool async, Action work)
    {
        var strategy = context.Database.CreateExecutionStrategy();
        if (!async)
        {
            strategy.Execute(work);
            return;
        }

        await strategy.ExecuteAsync(() =>
        {
            work();
            return Task.CompletedTask;
        });
    }

    public static void Save(ItemsContext context, int id, bool inTransactions)
    {
        using var transaction = inTransactions ? context.Database.BeginTransaction() : null;
        context.Add(new Item { Id = id, Owner = "acme" });
        context.SaveChanges();
        transaction?.Commit();
    }

    /// <summary>
    /// Has the first inserts of one row fail as if another transaction were in their way, those of another sleep, and the first
    /// sessions that commit a third one end.
    /// </summary>
    public static async Task<Tenant> AddAsync(RuntimeApp app, int times)
    {
        var row = await app.AddDatabaseAsync();
        var tenant = await app.AddTenantAsync(row, "acme");
        var schema = tenant.Schema.Quoted;
        await app.DirectAsync(
            row,
            $"""
            CREATE SEQUENCE {schema}.tries;
            CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NEW.id = {Fails} AND nextval('{schema}.tries') <= {times} THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;
                IF NEW.id = {Sleeps} THEN PERFORM pg_sleep(60); END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER fail BEFORE INSERT ON {schema}.items FOR EACH ROW EXECUTE FUNCTION {schema}.fail();
            CREATE FUNCTION {schema}.end_session() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NEW.id = {EndsAtCommit} AND nextval('{schema}.tries') <= {times} THEN
                    PERFORM pg_terminate_backend(pg_backend_pid());
                END IF;
                RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER end_session AFTER INSERT ON {schema}.items DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION {schema}.end_session();
            """
        );
        return tenant;
    }
}
